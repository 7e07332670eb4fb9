/** An agent that drives no browser: a cookie and two requests. */

import assert from 'node:assert/strict';

import type { Agent, Issuer } from './issuer.js';

/**
 * Opens the waiting page at `address` and signs in there; the address that the browser goes to.
 * Without the cookie the network address is all that binds the call to the browser.
 */
export async function signInPlainly(
  issuer: Issuer,
  agent: Agent,
  address: URL | string,
  { sendsCookie = true } = {},
): Promise<URL> {
  const page = await fetch(address);
  const html = await page.text();
  assert.equal(page.status, 200, html);
  const cookie = page.headers
    .getSetCookie()
    .map((set) => set.split(';')[0])
    .join('; ');
  const request_id = /content="(req_[^"]+)"/.exec(html)?.[1];
  const done = await fetch(`${issuer.url}/api/agent/authenticate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(sendsCookie && { cookie }) },
    body: JSON.stringify({
      request_id,
      agent_id: agent.agent_id,
      agent_secret: agent.agent_secret,
      model: 'claude-opus-4',
    }),
  });
  assert.equal(done.status, 200, await done.text());
  const status = await fetch(`${issuer.url}/api/check-status?request_id=${request_id}`, {
    headers: { cookie },
  });
  const { redirect_to } = (await status.json()) as { redirect_to: string };
  return new URL(redirect_to);
}
