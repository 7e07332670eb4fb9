import { TokenError } from './errors.js';

/** In bytes. */
export const LONGEST_FORM = 64 * 1024;

/** The body of a form, as text. Anybody may post here, so no more is read than a form can be. */
export async function readForm(request: Request): Promise<string> {
  const reader = request.body?.getReader();
  const decoder = new TextDecoder();
  let text = '';
  for (let size = 0; reader;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.byteLength;
    if (size > LONGEST_FORM) {
      await reader.cancel();
      throw new TokenError('invalid_token', `the form is longer than ${LONGEST_FORM} bytes`);
    }
    text += decoder.decode(value, { stream: true });
  }
  return text;
}
