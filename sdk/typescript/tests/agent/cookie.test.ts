/** Which cookie is sent, and where to: an https issuer, one below a path, cookies that others set. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';

import { createAgent } from '@auth-agent/sdk/agent';

const COOKIE = {
  name: '__Host-aa_req_1',
  value: 'v',
  domain: 'auth.example',
  path: '/',
  httpOnly: true,
  secure: true,
};

/** Signs in at a stand-in for a page with these cookies; what was sent. */
async function sent(
  t: TestContext,
  issuer: string,
  cookies: object[],
  address = `${issuer}/authorize/req_1`,
) {
  const calls: { url: string; cookie: string | null }[] = [];
  t.mock.method(globalThis, 'fetch', async (url: string, init: RequestInit) => {
    calls.push({ url, cookie: new Headers(init.headers).get('cookie') });
    return Response.json({ success: true, status: 'authenticated', binding: 'browser' });
  });
  const request = JSON.stringify({
    request_id: 'req_1',
    issuer: 'https://evil.example',
    authenticate_endpoint: 'https://evil.example/',
  });
  const page = {
    url: () => (calls.length ? 'https://shop.example/' : address),
    evaluate: async () => JSON.stringify({ address, request }),
    isClosed: () => false,
    browserContext: () => ({ cookies: async () => cookies as (typeof COOKIE)[] }),
  };
  await createAgent({ issuer, agentId: 'agent_1', agentSecret: 's', model: 'm' }).signIn(page);
  return calls;
}

test('on https it is the cookie that no other host can have set, and the endpoint is the configured one', async (t) => {
  const plain = { ...COOKIE, name: 'aa_req_1', value: 'planted' };
  const url = 'https://auth.example/api/agent/authenticate';
  assert.deepEqual(await sent(t, 'https://auth.example', [plain, COOKIE]), [
    { url, cookie: '__Host-aa_req_1=v' },
  ]);
});

test('an issuer may be below a path', async (t) => {
  const issuer = 'https://auth.example/tenants/one';
  const url = `${issuer}/api/agent/authenticate`;
  assert.deepEqual(await sent(t, issuer, [COOKIE]), [{ url, cookie: '__Host-aa_req_1=v' }]);
  const above = sent(t, issuer, [COOKIE], 'https://auth.example/authorize/req_1');
  await assert.rejects(above, { code: 'not_a_waiting_page' });
  const beside = sent(t, issuer, [COOKIE], 'https://auth.example/tenants/one-more/authorize/req_1');
  await assert.rejects(beside, { code: 'not_a_waiting_page' });
});

test('a cookie that the issuer cannot have set is none', async (t) => {
  const planted = [
    { name: 'aa_req_1' },
    { name: '__Host-aa_req_2' },
    { domain: '.auth.example' },
    { domain: 'example' },
    { path: '/authorize' },
    { httpOnly: false },
    { secure: false },
    { value: 'a\r\nx-header: b' },
    { value: 'a; __Host-aa_req_2=b' },
  ];
  for (const change of planted) {
    const refused = sent(t, 'https://auth.example', [{ ...COOKIE, ...change }]);
    await assert.rejects(refused, { code: 'not_this_browser' }, JSON.stringify(change));
  }
});
