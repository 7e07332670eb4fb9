/** What is asked again and what is not, of an issuer that the test makes fail; the page is a stand-in. */

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { inspect } from 'node:util';

import { AgentError, agentFromEnvironment, createAgent } from '@auth-agent/sdk/agent';
import { type Answer, FakeIssuer } from '../support/fake-issuer.js';

const SECRET = 'as_secret-of-the-agent';
const DONE: Answer = {
  json: { success: true, status: 'authenticated', request_id: 'req_1', binding: 'browser' },
};
const CALL = 'POST /api/agent/authenticate';

let fake: FakeIssuer;
let answers: Answer[];
let bodies: string[];
let cookies: (string | undefined)[];

before(async () => (fake = await FakeIssuer.start()));
after(() => fake.stop());
beforeEach(() => {
  [bodies, cookies] = [[], []];
  fake.asked.length = 0;
  fake.routes['/api/agent/authenticate'] = (request, body) => {
    bodies.push(body);
    cookies.push(request.headers.cookie);
    const answer = answers.shift();
    assert.ok(answer, 'asked too often');
    return answer;
  };
});

const agent = () => createAgent({ issuer: fake.url, agentId: 'agent_1', agentSecret: SECRET, model: 'm' });

/** A page that waits, with another cookie beside its own, and goes on as soon as it is told to. */
function page() {
  const address = `${fake.url}/authorize/req_1`;
  const cookie = { domain: '127.0.0.1', path: '/', httpOnly: true, secure: false };
  const request = {
    request_id: 'req_1',
    client_name: 'Shop\u202e\nIgnore',
    redirect_origin: 'https://shop.example',
  };
  return {
    url: () => (answers.length ? address : 'https://shop.example/callback?code=secret-code'),
    evaluate: async () => JSON.stringify({ address, request: JSON.stringify(request) }),
    isClosed: () => false,
    context: () => ({
      cookies: async () => [
        { ...cookie, name: 'aa_req_0', value: 'another' },
        { ...cookie, name: 'session', value: 'session-of-the-issuer' },
        { ...cookie, name: 'aa_req_1', value: 'cookie-1' },
      ],
    }),
  };
}

const calls = () => fake.asked.filter((line) => line === CALL).length;

test('a call is repeated after 503, a lost connection and 429, and is the same each time', async (t) => {
  answers = [
    { status: 503, json: {} },
    'cut',
    { status: 429, headers: { 'retry-after': '2' }, json: { error: 'slow_down' } },
    DONE,
  ];
  const timers = t.mock.method(globalThis, 'setTimeout');
  const done = await agent().signIn(page(), { expectedOrigin: 'https://shop.example' });
  const waits = timers.mock.calls.map(({ arguments: [, wait] }) => wait);
  assert.ok(waits.includes(2000), `Retry-After is kept: ${waits.join()}`);
  assert.equal(done.binding, 'browser');
  assert.equal(done.clientName, 'Shop  Ignore', 'what a client calls itself is one line');
  assert.equal(calls(), 4);
  assert.equal(new Set(bodies).size, 1);
  assert.deepEqual(JSON.parse(bodies[0] ?? ''), {
    request_id: 'req_1',
    agent_id: 'agent_1',
    agent_secret: SECRET,
    model: 'm',
    expected_origin: 'https://shop.example',
  });
  assert.deepEqual([...new Set(cookies)], ['aa_req_1=cookie-1'], 'its own cookie, and no other');
  assert.ok(!inspect(done).includes('secret'));
});

test('a refusal is asked for once, and said by its name', async () => {
  const refusals: [number, string][] = [
    [400, 'invalid_request'],
    [401, 'invalid_agent'],
    [403, 'access_denied'],
    [403, 'browser_mismatch'],
    [403, 'binding_required'],
    [403, 'origin_mismatch'],
    [404, 'unknown_request'],
    [409, 'request_closed'],
    [410, 'request_expired'],
  ];
  for (const [status, error] of refusals) {
    fake.asked.length = 0;
    answers = [{ status, json: { success: false, error, error_description: `because of ${error}` } }, DONE];
    await assert.rejects(agent().signIn(page()), (told) => {
      assert.ok(told instanceof AgentError);
      assert.equal(told.code, error);
      assert.ok(told.message.includes(`because of ${error}`), told.message);
      return true;
    });
    assert.equal(calls(), 1);
  }
});

test('a redirect is not followed, and an answer that says nothing is no sign-in', async () => {
  const odd: Answer[] = [
    { status: 302, headers: { location: `${fake.url}/elsewhere` }, json: {} },
    { status: 307, headers: { location: `${fake.url}/elsewhere` }, json: {} },
    { status: 200, json: {} },
    { status: 200, json: null },
    { status: 500, json: { error: 'constructor' } },
  ];
  for (const answer of odd) {
    answers = [answer, DONE];
    await assert.rejects(agent().signIn(page()), { code: 'unexpected_answer' });
  }
  assert.equal(calls(), odd.length);
  assert.ok(!fake.asked.some((line) => line.includes('elsewhere')));
});

test('a failure of the issuer is not taken for a wrong address', async () => {
  answers = [{ status: 500, json: { error: 'server_error' } }, DONE];
  await assert.rejects(agent().signIn(page()), { code: 'unexpected_answer', message: /the issuer failed, with 500/ });
  answers = [{ status: 404, json: {} }, DONE];
  await assert.rejects(agent().signIn(page()), { code: 'unexpected_answer', message: /address right/ });
});

test('a guard that is given and says nothing is refused, and nothing is sent', async () => {
  answers = [DONE];
  for (const expectedOrigin of [null, '', 'shop.example', 'https://shop.example/orders', 'com.example.app:/x', 1]) {
    await assert.rejects(agent().signIn(page(), { expectedOrigin } as object), {
      code: 'configuration',
      message: /expectedOrigin must be the origin/,
    });
  }
  for (const expectedClientId of [null, '', 1]) {
    await assert.rejects(agent().signIn(page(), { expectedClientId } as object), {
      code: 'configuration',
      message: /expectedClientId is missing/,
    });
  }
  for (const timeout of [-1, Infinity, NaN, '5']) {
    const options = { timeout } as object;
    await assert.rejects(agent().signIn(page(), options), { code: 'configuration', message: /timeout must/ });
  }
  assert.equal(calls(), 0);
  const options = { expectedOrigin: 'https://shop.example/', timeout: 0 };
  assert.equal((await agent().signIn(page(), options)).binding, 'browser', '0 is no end');
});

test('the browser has gone on when it shows a page of the web, and not of its own or the issuer’s', async (t) => {
  let deadline = new AbortController();
  t.mock.method(AbortSignal, 'timeout', () => deadline.signal);
  /** A page that shows `address` after the sign-in; by then the deadline is over. */
  const after = (address: string) => {
    answers = [DONE];
    const waiting = page();
    deadline = new AbortController();
    const gone = () => (deadline.abort(), address);
    return { ...waiting, url: () => (answers.length ? waiting.url() : gone()) };
  };
  for (const address of ['https://shop.example/callback', 'https://accounts.other.example/', 'http://shop.example/']) {
    assert.equal((await agent().signIn(after(address))).redirectOrigin, 'https://shop.example');
  }
  for (const address of ['chrome-error://chromewebdata/', 'about:blank', `${fake.url}/openapi`]) {
    await assert.rejects(agent().signIn(after(address)), (error) => {
      assert.ok(error instanceof AgentError);
      assert.deepEqual([error.code, error.authenticated], ['redirect_failed', true], address);
      return true;
    });
  }
});

test('a second factor is an error with a name of its own', async () => {
  answers = [{ status: 202, json: { success: true, status: 'challenge', challenge: {} } }, DONE];
  await assert.rejects(agent().signIn(page()), { code: 'challenge_required' });
});

test('repeating ends: after a few tries, at a long Retry-After, at the deadline, and when it is told to', async () => {
  answers = Array<Answer>(6).fill({ status: 503, json: {} });
  await assert.rejects(agent().signIn(page()), { code: 'unavailable' });
  assert.equal(calls(), 5);

  answers = [{ status: 429, headers: { 'retry-after': '3600' }, json: {} }, DONE];
  await assert.rejects(agent().signIn(page()), { code: 'slow_down', retryAfter: 3600, message: /in 3600 s/ });
  assert.equal(calls(), 6);

  answers = [{ status: 429, headers: { 'retry-after': '9' }, json: {} }, DONE];
  await assert.rejects(agent().signIn(page(), { timeout: 300 }), {
    code: 'unavailable',
    message: /deadline/,
  });

  answers = [DONE, DONE];
  await assert.rejects(agent().signIn(page(), { signal: AbortSignal.abort() }), { code: 'aborted' });
  const stop = new AbortController();
  answers = [{ status: 429, headers: { 'retry-after': '9' }, json: {} }, DONE];
  const waiting = agent().signIn(page(), { signal: stop.signal });
  while (answers.length > 1) await new Promise((resolve) => setTimeout(resolve, 5));
  stop.abort();
  await assert.rejects(waiting, { code: 'aborted' });
});

test('an issuer that is not there is unavailable, and the error shows no secret', async () => {
  const away = createAgent({
    issuer: 'http://127.0.0.1:9',
    agentId: 'agent_1',
    agentSecret: SECRET,
    model: 'm',
  });
  answers = [DONE];
  const there = page();
  const address = 'http://127.0.0.1:9/authorize/req_1';
  const request = JSON.stringify({ request_id: 'req_1' });
  const stand = { ...there, url: () => address, evaluate: async () => JSON.stringify({ address, request }) };
  await assert.rejects(away.signIn(stand), (error) => {
    assert.ok(error instanceof AgentError);
    assert.equal(error.code, 'unavailable');
    assert.ok(!/as_secret|cookie-1/.test(inspect(error, { depth: 9, showHidden: true })));
    return true;
  });
});

test('the secret is in nothing that shows an agent', () => {
  const shown = [
    inspect(agent(), { depth: 9, showHidden: true }),
    JSON.stringify(agent()),
    String(agent()),
    Object.getOwnPropertyNames(agent()).join(),
    JSON.stringify({ ...agent() }),
  ];
  for (const text of shown) assert.ok(!text.includes(SECRET), text);
});

test('settings come from the environment, from a file, or are missed by name', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'auth-agent-'));
  const names = ['ISSUER', 'ID', 'SECRET', 'MODEL', 'CREDENTIALS_FILE'].map((name) => `AUTH_AGENT_${name}`);
  const kept = { ...process.env };
  try {
    for (const name of names) delete process.env[name];
    assert.throws(() => agentFromEnvironment(), { code: 'configuration', message: /AUTH_AGENT_ISSUER/ });
    process.env['AUTH_AGENT_ISSUER'] = `${fake.url}/`;
    process.env['AUTH_AGENT_MODEL'] = 'm';
    process.env['AUTH_AGENT_CREDENTIALS_FILE'] = join(folder, 'agent.json');
    assert.throws(() => agentFromEnvironment(), { message: /agent\.json cannot be read: ENOENT/ });
    await writeFile(join(folder, 'agent.json'), '"no object"');
    assert.throws(() => agentFromEnvironment(), { message: /not a JSON object/ });
    // As `auth-agent agent create --json --secret-file agent.secret` prints it.
    await writeFile(join(folder, 'agent.secret'), `${SECRET}\n`);
    await writeFile(
      join(folder, 'agent.json'),
      JSON.stringify({ agent_id: 'agent_1', secret_file: 'agent.secret', model: null }),
    );
    const made = agentFromEnvironment();
    assert.deepEqual([made.issuer, made.agentId, made.model], [fake.url, 'agent_1', 'm']);
    answers = [DONE];
    const first = {
      ...page(),
      url: () => (bodies.length ? 'https://shop.example/' : `${fake.url}/authorize/req_1`),
    };
    await made.signIn(first);
    assert.equal((JSON.parse(bodies[0] ?? '') as { agent_secret: string }).agent_secret, SECRET);
    process.env['AUTH_AGENT_ID'] = 'agent_2';
    assert.equal(agentFromEnvironment().agentId, 'agent_2');
    assert.equal(agentFromEnvironment({ agentId: 'agent_3' }).agentId, 'agent_3');
  } finally {
    process.env = kept;
    await rm(folder, { recursive: true });
  }
});

test('settings that would send the secret in the clear, or nowhere, are refused', () => {
  const good = { issuer: 'https://auth.example', agentId: 'agent_1', agentSecret: SECRET, model: 'm' };
  const bad: [object, RegExp][] = [
    [{ issuer: 'http://auth.example' }, /https/],
    [{ issuer: 'https://auth.example@evil.example' }, /user name/],
    [{ issuer: '' }, /issuer is missing/],
    [{ agentId: undefined }, /agentId is missing/],
    [{ agentSecret: ' ' }, /agentSecret is missing/],
    [{ model: 'm'.repeat(129) }, /128 printable/],
    [{ model: 'a\nb' }, /printable/],
  ];
  for (const [change, message] of bad) {
    assert.throws(
      () => createAgent({ ...good, ...change }),
      (error: Error) => {
        assert.match(error.message, message);
        return !error.message.includes(SECRET);
      },
    );
  }
});
