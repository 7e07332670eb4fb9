/** Who the agent is: by options, by the environment, or by a file; and which of them are refused. */

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';

import { agentFromEnvironment, createAgent } from '@auth-agent/sdk/agent';
import { FakeIssuer } from '../support/fake-issuer.js';
import { standIn } from '../support/stand-in.js';

const SECRET = 'as_secret-of-the-agent';
const VARIABLES = ['ISSUER', 'ID', 'SECRET', 'MODEL', 'CREDENTIALS_FILE'].map((name) => `AUTH_AGENT_${name}`);

let folder: string;
let fake: FakeIssuer;
/** The secrets that the issuer was sent. */
let secrets: unknown[];

before(async () => {
  [folder, fake] = await Promise.all([mkdtemp(join(tmpdir(), 'auth-agent-')), FakeIssuer.start()]);
  fake.routes['/api/agent/authenticate'] = (_, body) => {
    secrets.push((JSON.parse(body) as { agent_secret: unknown }).agent_secret);
    return { json: { success: true, status: 'authenticated', binding: 'browser' } };
  };
});
after(() => Promise.all([fake.stop(), rm(folder, { recursive: true })]));
beforeEach(() => {
  for (const name of VARIABLES) delete process.env[name];
  secrets = [];
});

/** Sets variables of the environment, without their prefix. */
function set(variables: Record<string, string>): void {
  for (const [name, value] of Object.entries(variables)) process.env[`AUTH_AGENT_${name}`] = value;
}

/** Names a credentials file of that text, or of these fields. */
async function file(content: string | object): Promise<void> {
  const path = join(folder, 'agent.json');
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  set({ CREDENTIALS_FILE: path });
}

/** The secret that the agent signs in with at the fake issuer. */
async function secretOf(agent: ReturnType<typeof agentFromEnvironment>): Promise<unknown> {
  const sent = secrets.length;
  await agent.signIn(standIn(fake.url, () => secrets.length > sent));
  return secrets.at(-1);
}

const refused = (message: RegExp, overrides = {}) =>
  assert.throws(
    () => agentFromEnvironment(overrides),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, 'configuration');
      assert.match(error.message, message);
      return !error.message.includes('as_');
    },
  );

test('settings come from the environment, from a file, or are missed by name', async () => {
  refused(/AUTH_AGENT_ISSUER, or issuer in the file/);
  set({ ISSUER: `${fake.url}/`, MODEL: 'm', CREDENTIALS_FILE: join(folder, 'none.json') });
  refused(/none\.json cannot be read: ENOENT/);
  await file('"no object"');
  refused(/not a JSON object/);
  // As `auth-agent agent create --json --secret-file agent.secret` prints it.
  await writeFile(join(folder, 'agent.secret'), `${SECRET}\n`);
  const printed = { agent_id: 'agent_1', secret_file: 'agent.secret', model: null };
  await file(printed);
  const made = agentFromEnvironment();
  assert.deepEqual([made.issuer, made.agentId, made.model], [fake.url, 'agent_1', 'm']);
  assert.equal(await secretOf(made), SECRET);
  // As an editor on Windows writes it.
  await writeFile(join(folder, 'agent.secret'), `\uFEFF${SECRET}\r\n`);
  await file(`\uFEFF${JSON.stringify(printed)}`);
  assert.equal(await secretOf(agentFromEnvironment()), SECRET);
});

test('options come before the environment, and the environment before the file', async () => {
  await file({ issuer: 'https://file.example', agent_id: 'agent_f', agent_secret: 'as_f', model: 'f' });
  const shown = (overrides = {}) => {
    const { issuer, agentId, model } = agentFromEnvironment(overrides);
    return [issuer, agentId, model];
  };
  assert.deepEqual(shown(), ['https://file.example', 'agent_f', 'f']);
  set({ MODEL: '' }); // a variable that is empty is not set
  assert.deepEqual(shown(), ['https://file.example', 'agent_f', 'f']);
  set({ ISSUER: fake.url, ID: 'agent_e', SECRET: 'as_e', MODEL: 'e' });
  assert.deepEqual(shown(), [fake.url, 'agent_e', 'e']);
  assert.equal(await secretOf(agentFromEnvironment()), 'as_e');
  assert.deepEqual(shown({ model: 'o', issuer: undefined }), [fake.url, 'agent_e', 'o']);
  const own = { agentId: 'agent_o', agentSecret: 'as_o' };
  assert.deepEqual(shown({ ...own, issuer: 'https://own.example' }), ['https://own.example', 'agent_o', 'e']);
  assert.equal(await secretOf(agentFromEnvironment(own)), 'as_o');
});

test('a secret goes to no issuer that came with another agent, and no two agents are mixed', async () => {
  const staging = { agent_id: 'agent_staging', agent_secret: 'as_staging', model: 'm' };
  // The issuer of a file with the secret of the environment, or of an option.
  await file({ ...staging, issuer: fake.url });
  const production = { agentId: 'agent_production', agentSecret: 'as_production' };
  refused(/issuer is of .*agent\.json and agentSecret of an option: give issuer there too/, production);
  set({ ID: 'agent_production', SECRET: 'as_production' });
  refused(/issuer is of .*agent\.json and agentSecret of the environment: give issuer there too/);
  // Id and secret of two places.
  set({ ISSUER: fake.url, ID: '' });
  refused(/agentId is of .*agent\.json and agentSecret of the environment: give both in the same place/);
  refused(/agentId is of an option and agentSecret of the environment/, { agentId: 'agent_1' });
  set({ SECRET: '' });
  refused(/agentId is of an option and agentSecret of .*agent\.json/, { agentId: 'agent_1' });
  // What is given, and empty, does not make way for another's.
  for (const empty of ['', ' ', 1]) {
    refused(/issuer must be text that is not empty, which that of an option is not/, { issuer: empty });
  }
  await file({ ...staging, agent_secret: '' });
  refused(/agentSecret must be text that is not empty, which that of .*agent\.json is not/);
  assert.deepEqual(secrets, []);
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
