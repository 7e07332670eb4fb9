/** How both parts that hold secrets reach the issuer: by no proxy over http, and without reading on for ever. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import http from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { type TestContext, after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { createAgent } from '@auth-agent/sdk/agent';
import { createAccessTokenVerifier, createClient } from '@auth-agent/sdk/server';
import { FakeIssuer } from '../support/fake-issuer.js';
import { Recorder } from '../support/recorder.js';
import { standIn } from '../support/stand-in.js';

const CREDENTIALS = { agentId: 'agent_1', agentSecret: 'as_secret', model: 'm' };
const CLIENT = {
  clientId: 'client_1',
  clientSecret: 's_secret',
  redirectUri: 'https://shop.example/callback',
};
const CALLS = ['POST /api/agent/authenticate', 'GET /.well-known/openid-configuration', 'POST /token'];

let fake: FakeIssuer;
let proxy: Recorder;

before(async () => {
  [fake, proxy] = await Promise.all([
    FakeIssuer.start(),
    Recorder.start('127.0.0.1', () => ({ location: 'https://proxy.example/' })),
  ]);
  fake.routes['/api/agent/authenticate'] = () => ({ status: 401, json: { error: 'invalid_agent' } });
  fake.routes['/token'] = () => ({ status: 400, json: { error: 'invalid_grant' } });
});
after(() => Promise.all([fake, proxy].map((one) => one.stop())));

test('over http neither fetch nor the agent that all requests share is used', async (t) => {
  const fetched = t.mock.method(globalThis, 'fetch');
  const { globalAgent } = http;
  t.after(() => (http.globalAgent = globalAgent));
  // As one that believes HTTP_PROXY.
  http.globalAgent = Object.assign(new http.Agent(), {
    createConnection: () => connect(proxy.port, '127.0.0.1'),
  });
  const seen = await new Promise((resolve) => http.get(fake.url, (answer) => resolve(answer.statusCode)));
  assert.deepEqual([seen, /^GET \/ /.test(proxy.received)], [302, true], 'others go there');
  proxy.received = '';
  fake.asked.length = 0;
  const agent = createAgent({ issuer: fake.url, ...CREDENTIALS });
  await assert.rejects(agent.signIn(standIn(fake.url)), { code: 'invalid_agent' });
  const client = createClient({ issuer: fake.url, ...CLIENT });
  await assert.rejects(client.refresh('rt_secret'), { code: 'invalid_grant' });
  const verifier = createAccessTokenVerifier({ issuer: fake.url, audience: 'a' });
  await assert.rejects(verifier.verify('at'), { code: 'invalid_token' });
  assert.deepEqual(fake.asked, [...CALLS, CALLS[1], 'GET /jwks']);
  assert.equal(fetched.mock.callCount(), 0);
  assert.equal(proxy.received, '');
});

const BELIEVES_PROXIES = process.allowedNodeEnvironmentFlags.has('--use-env-proxy');
const skip = !BELIEVES_PROXIES && `Node.js ${process.versions.node} believes no proxy of the environment`;

test('no proxy of the environment gets what is sent over http', { skip }, async () => {
  /** Runs a program that believes in the proxy. */
  const run = async (program: string) => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], {
      timeout: 60_000,
      cwd: fileURLToPath(new URL('../../', import.meta.url)), // where the package's name leads to it
      env: {
        ISSUER: fake.url,
        NODE_USE_ENV_PROXY: '1',
        HTTP_PROXY: `http://127.0.0.1:${proxy.port}`,
        HTTPS_PROXY: `http://127.0.0.1:${proxy.port}`,
      },
    });
    return stdout;
  };
  proxy.received = '';
  await run(`await fetch(process.env.ISSUER).catch(() => {});`);
  assert.match(proxy.received, /^(CONNECT|GET) /, 'what does not mind goes to the proxy');
  proxy.received = '';
  fake.asked.length = 0;
  const said = await run(`
    import { createAgent } from '@auth-agent/sdk/agent';
    import { createClient } from '@auth-agent/sdk/server';
    const issuer = process.env.ISSUER;
    const standIn = ${standIn.toString()};
    const failed = ({ code }) => console.log(code);
    await createAgent({ issuer, ...${JSON.stringify(CREDENTIALS)} }).signIn(standIn(issuer)).catch(failed);
    await createClient({ issuer, ...${JSON.stringify(CLIENT)} }).refresh('rt_secret').catch(failed);`);
  assert.equal(said, 'invalid_agent\ninvalid_grant\n');
  assert.deepEqual(fake.asked, CALLS);
  assert.equal(proxy.received, '');
});

/** Lets calls be repeated at once. */
function withoutPauses(t: TestContext): void {
  const { setTimeout: start } = globalThis;
  t.mock.method(globalThis, 'setTimeout', (work: () => void, wait: number) => start(work, wait > 2000 ? wait : 1));
}

const TOO_LONG = { code: 'unavailable', message: /the answer is longer than 1 MiB/ };

test('an answer without an end is not read to its end, over http', async (t) => {
  withoutPauses(t);
  let asked = 0;
  const server = http.createServer((_, response) => {
    asked++;
    const more = () => {
      while (response.write(' '.repeat(65536)));
      response.once('drain', more);
    };
    more();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    await assert.rejects(createAgent({ issuer, ...CREDENTIALS }).signIn(standIn(issuer)), TOO_LONG);
    await assert.rejects(createClient({ issuer, ...CLIENT }).start(), TOO_LONG);
  } finally {
    await new Promise((resolve) => server.close(resolve)); // which waits for connections to end
  }
  assert.equal(asked, 6, 'five tries of the agent, one of the website');

  const verifier = createAccessTokenVerifier({ issuer: fake.url, audience: 'a' });
  const keys = fake.routes['/jwks'];
  fake.routes['/jwks'] = () => ({ json: { keys: [], more: ' '.repeat(1024 * 1024) } });
  await assert.rejects(verifier.verify('at'), { code: 'unavailable' });
  Object.assign(fake.routes, { '/jwks': keys });
});

test('an answer without an end is not read to its end, over https', async (t) => {
  withoutPauses(t);
  let [fetched, cancelled] = [0, 0];
  t.mock.method(globalThis, 'fetch', async () => {
    fetched++;
    const pull = (it: ReadableStreamDefaultController) => it.enqueue(new Uint8Array(65536));
    return new Response(new ReadableStream({ pull, cancel: () => void cancelled++ }));
  });
  const issuer = 'https://auth.example';
  await assert.rejects(createAgent({ issuer, ...CREDENTIALS }).signIn(standIn(issuer)), TOO_LONG);
  await assert.rejects(createClient({ issuer, ...CLIENT }).start(), TOO_LONG);
  assert.deepEqual([fetched, cancelled], [6, 6]);
});

test('an answer is what fetch would make of it', async () => {
  fake.routes['/revoke'] = () => ({ status: 204 });
  const client = createClient({ issuer: fake.url, ...CLIENT });
  await assert.rejects(client.revoke('rt_secret'), { code: 'unexpected_answer' }, 'it has no body, and is not 200');
  fake.routes['/revoke'] = () => 'cut';
  await assert.rejects(client.revoke('rt_secret'), { code: 'unavailable', message: /ECONNRESET/ });
});
