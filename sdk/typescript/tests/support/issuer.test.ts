/** What every other test relies on: the server's log is looked through for secrets when it stops. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Issuer } from './issuer.js';

test('a secret in the log of a server fails its tests', async () => {
  const issuer = await Issuer.start();
  const { agent_secret } = await issuer.agent();
  // A caller's own id of its call is logged as it is.
  const call = await fetch(`${issuer.url}/api/health`, { headers: { 'x-request-id': agent_secret } });
  assert.equal(call.status, 200);
  await assert.rejects(issuer.stop(), /a secret is in the server's log/);
});

test('a server that logs no secret stops', async () => {
  const issuer = await Issuer.start();
  await issuer.client('https://shop.example/callback');
  await issuer.stop();
});
