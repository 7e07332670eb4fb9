import type { IncomingMessage } from 'node:http';

/** In bytes; no good answer of an issuer comes near it. */
const LONGEST_ANSWER = 1024 * 1024;
/** Statuses whose answers have no body (Fetch §2.2.3). */
const WITHOUT_BODY = [204, 205, 304];

/** What is sent: the part of `fetch`'s options that is used. */
export interface Sending {
  readonly method: string;
  readonly headers: Headers | Record<string, string>;
  readonly body?: string | URLSearchParams | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A request got no answer, or none that is read. Its message says why and holds nothing secret: it is shown. */
export class NoAnswer extends Error {}

/**
 * Sends a request to the issuer, as `fetch` does, and reads the answer, which is whole when it is returned
 * and at most 1 MiB long. No redirect is followed: a secret goes to the issuer, and nowhere that it points to.
 *
 * Over https a proxy of the environment carries a tunnel that it cannot read. Over http, which is for this
 * machine alone, it would get the secret itself: none is used, whatever the environment says.
 *
 * @throws {@link NoAnswer}, the reason of the signal, or what `fetch` throws.
 */
export function send(url: string, sending: Sending): Promise<Response> {
  // A Node.js whose `fetch` may believe the environment (22.21 and 24 do) has this way to `node:http`.
  const http = url.startsWith('http:') ? globalThis.process?.getBuiltinModule?.('node:http') : undefined;
  return http ? sendDirectly(http, url, sending) : sendByFetch(url, sending);
}

async function sendByFetch(url: string, { method, headers, body, signal }: Sending): Promise<Response> {
  const options = { method, headers, body: body ?? null, signal: signal ?? null, redirect: 'manual' } as const;
  const answer = await fetch(url, options);
  return whole(answer.status, answer.headers, answer.body ?? []);
}

async function sendDirectly(
  { Agent, request }: typeof import('node:http'),
  url: string,
  { method, headers, body, signal }: Sending,
): Promise<Response> {
  const options = {
    method,
    headers: Object.fromEntries(new Headers(headers)),
    agent: new Agent(), // the global one may lead to a proxy
    ...(signal && { signal }),
  };
  try {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      request(url, options, resolve)
        .on('error', reject)
        .on('close', () => reject(new NoAnswer('the connection was closed')))
        .end(body?.toString());
    });
    const received = new Headers();
    for (const [name, values = []] of Object.entries(answer.headersDistinct)) {
      for (const value of values) received.append(name, value);
    }
    return await whole(answer.statusCode ?? 0, received, answer);
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    const { code } = error as { code?: unknown };
    throw typeof code === 'string' ? new NoAnswer(code) : error;
  }
}

/** Reads an answer to its end, unless that is too far away. */
async function whole(
  status: number,
  headers: Headers,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<Response> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    length += chunk.byteLength;
    if (length > LONGEST_ANSWER) throw new NoAnswer('the answer is longer than 1 MiB');
    parts.push(new Uint8Array(chunk));
  }
  return new Response(WITHOUT_BODY.includes(status) ? null : new Blob(parts), { status, headers });
}

/** Why a request did not get through, without the addresses and headers that its error may hold. */
export function whyItFailed(error: unknown): string {
  if (!(error instanceof Error)) return 'no answer';
  if (error instanceof NoAnswer) return error.message;
  if (error.name === 'TimeoutError') return 'no answer in time';
  if (error.name === 'AbortError') return 'aborted';
  const cause = error.cause as { code?: unknown } | undefined;
  return typeof cause?.code === 'string' ? cause.code : 'the connection failed';
}
