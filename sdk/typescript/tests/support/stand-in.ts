/** A page that waits at an issuer, without a browser. */

import type { PlaywrightPage } from '@auth-agent/sdk/agent';

/**
 * @param issuer of which it is the waiting page, with the cookie of its request.
 * @param hasGoneOn whether it shows the website by now.
 */
export function standIn(issuer: string, hasGoneOn: () => boolean = () => false): PlaywrightPage {
  const { origin, hostname, protocol } = new URL(issuer);
  const address = `${origin}/authorize/req_1`;
  const secure = protocol === 'https:';
  const name = `${secure ? '__Host-' : ''}aa_req_1`;
  const cookie = { name, value: 'v', domain: hostname, path: '/', httpOnly: true, secure };
  return {
    url: () => (hasGoneOn() ? 'https://shop.example/' : address),
    evaluate: async () => JSON.stringify({ address, request: JSON.stringify({ request_id: 'req_1' }) }),
    isClosed: () => false,
    context: () => ({ cookies: async () => [cookie] }),
  };
}
