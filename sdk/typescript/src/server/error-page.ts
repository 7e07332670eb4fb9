import type { AuthAgentError } from '../common/errors.js';

/** Words for the visitor, and the status, by `code`; what is not here is a refusal like any other. */
const OUTCOMES: Record<string, { status: number; headline: string }> = {
  access_denied: { status: 403, headline: 'Not signed in' },
  insufficient_binding: { status: 403, headline: 'Not signed in' },
  transaction_missing: { status: 400, headline: 'This sign-in is over' },
  state_mismatch: { status: 400, headline: 'This sign-in is over' },
  unavailable: { status: 503, headline: 'Sign-in is not available right now' },
  unexpected_answer: { status: 502, headline: 'Sign-in does not work right now' },
  clock_skew: { status: 500, headline: 'Sign-in does not work right now' },
};

/** The HTTP status that fits an error. */
export function statusOf(error: AuthAgentError): number {
  return OUTCOMES[error.code]?.status ?? 400;
}

/** A plain page that says why nobody was signed in, with a way to try again. */
export function errorPage(error: AuthAgentError, tryAgain: string): Response {
  const headline = OUTCOMES[error.code]?.headline ?? 'Not signed in';
  const message = error.message.charAt(0).toUpperCase() + error.message.slice(1).replace(/\.$/, '');
  const html = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>${headline}</title>
<main>
<h1>${headline}</h1>
<p>${escape(message)}.</p>
<p><a href="${escape(tryAgain)}">Try again</a></p>
<p><small>Error: <code>${escape(error.code)}</code></small></p>
</main>
`;
  return new Response(html, {
    status: statusOf(error),
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    },
  });
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
