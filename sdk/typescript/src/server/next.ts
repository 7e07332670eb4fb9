import type { Handlers } from './handlers.js';

type RouteHandler = (request: Request) => Promise<Response>;

/**
 * The handlers as route handlers of Next.js's App Router. In `app/auth/[action]/route.ts`, with a
 * `redirectUri` of `https://website.example/auth/callback`:
 *
 * @param handlers or what makes them, called when a request comes: a build has no settings yet.
 * @example
 * export const { GET, POST } = nextHandlers(handlers);
 */
export function nextHandlers(handlers: Handlers | (() => Handlers)): {
  GET: RouteHandler;
  POST: RouteHandler;
} {
  const answer: RouteHandler = async (request) => {
    const made = typeof handlers === 'function' ? handlers() : handlers;
    return (await made.handle(request)) ?? new Response('Not found.\n', { status: 404 });
  };
  return { GET: answer, POST: answer };
}
