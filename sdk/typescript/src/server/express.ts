import type { NodeHeaders } from './cookies.js';
import { LONGEST_FORM } from './form.js';
import type { Handlers } from './handlers.js';

/** What is used of a request of Express, Connect or `node:http`. */
export interface NodeRequest extends AsyncIterable<unknown> {
  method?: string | undefined;
  url?: string | undefined;
  /** Express's: the whole path, where `url` is what is left of it for a router. */
  originalUrl?: string;
  headers: NodeHeaders;
  /** What a body parser has left; Express 4's leave `{}` for what they do not read. */
  body?: unknown;
  /** Whether somebody has read the body. */
  readableDidRead?: boolean;
}

/** What is used of a response of Express, Connect or `node:http`. */
export interface NodeResponse {
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  appendHeader(name: string, value: string[]): unknown;
  end(body?: Uint8Array): unknown;
}

/** Methods that a `Request` cannot have: they are answered as any other that is not understood. */
const NO_REQUEST = ['TRACE', 'TRACK', 'CONNECT'];

/**
 * The handlers as one middleware for Express and Connect: `app.use(expressHandler(handlers))`.
 * Requests for other paths go on to the next. With `node:http`, `next` answers what is not ours.
 */
export function expressHandler(
  handlers: Handlers,
): (request: NodeRequest, response: NodeResponse, next: (error?: unknown) => void) => void {
  return (request, response, next) => {
    answer(handlers, request, response).then((done) => done || next(), next);
  };
}

async function answer(handlers: Handlers, request: NodeRequest, response: NodeResponse): Promise<boolean> {
  // The path is all that is taken of the address: what Host says is the visitor's word.
  const path = request.originalUrl ?? request.url ?? '/';
  const address = `${handlers.origin}${path.startsWith('/') ? path : '/'}`;
  if (!URL.canParse(address)) return false;
  const url = new URL(address);
  if (!Object.values(handlers.paths).includes(url.pathname)) return false;

  const asked = request.method ?? 'GET';
  const method = NO_REQUEST.includes(asked) ? 'OPTIONS' : asked;
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    for (const one of [value ?? []].flat()) headers.append(name, one);
  }
  const body = method === 'GET' || method === 'HEAD' ? null : await bodyOf(request);
  const answered = await handlers.handle(new Request(url, { method, headers, body }));
  if (!answered) return false;

  response.statusCode = answered.status;
  for (const [name, value] of answered.headers) {
    if (name !== 'set-cookie') response.setHeader(name, value);
  }
  const cookies = answered.headers.getSetCookie();
  if (cookies.length) response.appendHeader('set-cookie', cookies); // beside those of earlier middleware
  response.end(new Uint8Array(await answered.arrayBuffer()));
  return true;
}

/** The form, as it came or as a body parser has read it. */
async function bodyOf(request: NodeRequest): Promise<string> {
  const { body } = request;
  if (request.readableDidRead === false) return read(request);
  if (typeof body === 'string') return body;
  if (body instanceof Uint8Array) return new TextDecoder().decode(body);
  if (body !== null && typeof body === 'object') {
    const fields = Object.entries(body).flatMap(([name, value]) =>
      [value].flat().map((one) => [name, String(one)]),
    );
    return new URLSearchParams(fields).toString();
  }
  return read(request);
}

async function read(request: NodeRequest): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of request) {
    text += typeof chunk === 'string' ? chunk : decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > LONGEST_FORM) break; // the handlers refuse it
  }
  return text;
}
