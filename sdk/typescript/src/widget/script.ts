/**
 * What `GET /widget/signin-button.js` serves: one file that works as a module and as a classic script.
 * It defines the button, and gives the page of the redirect URI, which has no package to import,
 * `AuthAgent.handleCallback()`.
 */

import { codeOf, type CallbackCode, isCallback, readAnswer } from '../browser/callback.js';
import type { CallbackOptions } from '../browser/handle-callback.js';
import { signIn } from '../browser/sign-in.js';
import { ConfigurationError } from '../common/errors.js';
import { defineSignInButton } from './element.js';

const PATH = '/widget/signin-button.js';

/** The server that a script came from: what stands before the script's own path. */
function serverOf(script: HTMLOrSVGScriptElement | null): string | undefined {
  if (!(script instanceof HTMLScriptElement) || !URL.canParse(script.src)) return undefined;
  const { origin, pathname } = new URL(script.src);
  return pathname.endsWith(PATH) ? origin + pathname.slice(0, -PATH.length) : undefined;
}

/** A module is not told which element it came from; if several servers could be meant, none is. */
function server(): string | undefined {
  const own = serverOf(document.currentScript);
  if (own) return own;
  const candidates = new Set([...document.querySelectorAll('script')].map(serverOf).filter(Boolean));
  return candidates.size === 1 ? [...candidates][0] : undefined;
}

async function handleCallback(options?: CallbackOptions): Promise<CallbackCode> {
  // What verifies an ID token is many times larger than the button.
  if (options?.exchange) {
    throw new ConfigurationError(
      'exchange needs @auth-agent/sdk/browser: this script hands the code to your backend',
    );
  }
  return codeOf(readAnswer());
}

defineSignInButton(server());
// An element with that id is found under the same name; a second script keeps what the first gave.
const page = globalThis as { AuthAgent?: { handleCallback?: unknown } };
if (typeof page.AuthAgent?.handleCallback !== 'function') {
  page.AuthAgent = Object.freeze({ handleCallback, isCallback, signIn });
}
