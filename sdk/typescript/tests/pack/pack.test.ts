/** The package as others get it: packed, installed into an empty project, run and type-checked there. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { Issuer } from '../support/issuer.js';

const PACKAGE = fileURLToPath(new URL('../../', import.meta.url));
const exec = promisify(execFile);

interface Manifest {
  version: string;
  exports: Record<string, unknown>;
  devDependencies: Record<string, string>;
}

let folder: string;
let manifest: Manifest;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'auth-agent-'));
  manifest = JSON.parse(await readFile(`${PACKAGE}package.json`, 'utf8')) as Manifest;
  // It is built already, and the other tests run what was built: no second build beneath them.
  await exec('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: PACKAGE });
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  const types = ['@types/node', '@types/react', '@types/react-dom', 'react'];
  const wanted = types.map((name) => `${name}@${manifest.devDependencies[name]}`);
  const file = `./auth-agent-sdk-${manifest.version}.tgz`;
  await exec('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', file, ...wanted], {
    cwd: folder,
  });
});
after(() => rm(folder, { recursive: true }));

const entries = () => Object.keys(manifest.exports).filter((name) => name !== './package.json');

test('every entry is imported, without a browser and without the libraries that drive one', async () => {
  const lines = entries().map((name) => `await import('@auth-agent/sdk/${name.slice(2)}');`);
  const program = `${lines.join('\n')}
    const { createAgent } = await import('@auth-agent/sdk/agent');
    const { createClient, createHandlers } = await import('@auth-agent/sdk/server');
    console.log(typeof createAgent, typeof createClient, typeof createHandlers);`;
  await writeFile(join(folder, 'imports.js'), program);
  const { stdout } = await exec(process.execPath, ['imports.js'], { cwd: folder });
  assert.equal(stdout, 'function function function\n');
});

test('an agent signs in at a website, with what was packed alone', async () => {
  const issuer = await Issuer.start();
  try {
    const redirectUri = 'https://shop.example/callback';
    const [agent, client] = await Promise.all([issuer.agent(), issuer.client(redirectUri)]);
    await writeFile(join(folder, 'sign-in.js'), SIGN_IN);
    const { stdout } = await exec(process.execPath, ['sign-in.js'], {
      cwd: folder,
      env: {
        PATH: process.env.PATH,
        AUTH_AGENT_ISSUER: issuer.url,
        AUTH_AGENT_ID: agent.agent_id,
        AUTH_AGENT_SECRET: agent.agent_secret,
        AUTH_AGENT_MODEL: 'claude-opus-4',
        CLIENT_ID: client.client_id,
        CLIENT_SECRET: client.client_secret,
        REDIRECT_URI: redirectUri,
      },
    });
    assert.equal(stdout, `browser Profilio ${agent.agent_id} claude-opus-4\n`);
  } finally {
    await issuer.stop();
  }
});

/** A website and an agent in one program; the browser between them is a stand-in. */
const SIGN_IN = `
import { agentFromEnvironment } from '@auth-agent/sdk/agent';
import { createClient } from '@auth-agent/sdk/server';

const { AUTH_AGENT_ISSUER: issuer, CLIENT_ID: clientId, CLIENT_SECRET: clientSecret, REDIRECT_URI: redirectUri } = process.env;
const client = createClient({ issuer, clientId, clientSecret, redirectUri });
const { url, transaction } = await client.start();

const opened = await fetch(url);
const [, request] = /id="auth-agent-request">(.*?)<.script>/s.exec(await opened.text());
const [cookie] = opened.headers.getSetCookie()[0].split(';');
const [name, value] = cookie.split('=');
let address = url.href;
const page = {
  url: () => address,
  evaluate: async () => JSON.stringify({ address, request }),
  isClosed: () => false,
  context: () => ({ cookies: async () => [{ name, value, domain: new URL(issuer).hostname, path: '/', httpOnly: true }] }),
};
const goesOn = async () => {
  const path = '/api/check-status?request_id=' + JSON.parse(request).request_id;
  const { redirect_to } = await (await fetch(issuer + path, { headers: { cookie } })).json();
  if (redirect_to) return (address = redirect_to);
  await new Promise((resolve) => setTimeout(resolve, 20));
  return goesOn();
};

const [{ binding, clientName }] = await Promise.all([agentFromEnvironment().signIn(page), goesOn()]);
const { claims } = await client.callback(address, transaction);
console.log(binding, clientName, claims.agent_id, claims.model);
`;

test('only what is needed is packed', async () => {
  const { stdout } = await exec('npm', ['pack', '--ignore-scripts', '--dry-run', '--json'], { cwd: PACKAGE });
  const [{ files } = { files: [] }] = listed(JSON.parse(stdout));
  const paths = files.map((file) => file.path);
  for (const path of [
    'LICENSE',
    'README.md',
    'package.json',
    'dist/agent/index.js',
    'dist/agent/index.d.ts',
  ]) {
    assert.ok(paths.includes(path), path);
  }
  const odd = paths.filter(
    (path) => !/^(LICENSE|README\.md|package\.json|dist\/[\w/-]+\.(d\.ts|js))$/.test(path),
  );
  assert.deepEqual(odd, []);
});

/** npm 11 prints a list, later ones an object by name. */
function listed(printed: unknown): { files: { path: string }[] }[] {
  return Object.values(printed as object) as { files: { path: string }[] }[];
}

test('a strict program that uses every entry type-checks, our declarations and all', async () => {
  await writeFile(join(folder, 'program.ts'), PROGRAM);
  const lines = entries().map(
    (name, at) => `import * as entry${at} from '@auth-agent/sdk/${name.slice(2)}';\nvoid entry${at};`,
  );
  await writeFile(join(folder, 'entries.ts'), lines.join('\n'));
  const common = {
    target: 'es2022',
    module: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    noEmit: true,
  };
  const projects = {
    // A backend does not have the DOM's types.
    backend: { compilerOptions: { ...common, lib: ['es2022'], types: ['node'] }, files: ['program.ts'] },
    browser: {
      compilerOptions: { ...common, lib: ['es2022', 'dom', 'dom.iterable'], types: [], jsx: 'react-jsx' },
      files: ['entries.ts'],
    },
  };
  for (const [name, project] of Object.entries(projects)) {
    await writeFile(join(folder, `${name}.json`), JSON.stringify(project));
    const tsc = join(PACKAGE, 'node_modules/typescript/bin/tsc');
    await exec(process.execPath, [tsc, '--project', `${name}.json`], { cwd: folder }).catch(
      ({ stdout }: { stdout: string }) => assert.fail(`${name}: ${stdout}`),
    );
  }
});

const PROGRAM = `
import { createServer } from 'node:http';
import { AgentError, type AgentSignIn, type Page, type WaitingRequest, agentFromEnvironment, createAgent } from '@auth-agent/sdk/agent';
import {
  CallbackError, type Session, TokenError, createAccessTokenVerifier, createClient, createHandlers,
  expressHandler, isBound, nextHandlers,
} from '@auth-agent/sdk/server';

const client = createClient({
  issuer: 'https://auth.example', clientId: 'client_1', clientSecret: 's', redirectUri: 'https://shop.example/auth/callback',
});
const handlers = createHandlers({
  client,
  cookieSecret: ['new', 'old'],
  onSignIn: async (tokens) => void [tokens.refreshToken?.length, tokens.claims?.email],
  onError: (error, tryAgain) => new Response(error.code + tryAgain),
});
export const { GET, POST } = nextHandlers(() => handlers);
const middleware = expressHandler(handlers);
createServer((request, response) => middleware(request, response, () => response.end()));

export async function check(request: Request): Promise<string | undefined> {
  const session: Session | undefined = await handlers.getSession(request);
  const tokens = await client.exchange({ code: 'c', codeVerifier: 'v' });
  const { active } = await client.introspect(tokens.accessToken);
  const api = createAccessTokenVerifier({ issuer: 'https://auth.example', minimumBinding: 'browser' });
  try {
    const claims = await api.verify('token', { scope: 'orders' });
    return isBound(claims.binding, 'address') && active ? claims.agent_id : session?.sub;
  } catch (error) {
    if (error instanceof TokenError && error.code === 'insufficient_scope') return undefined;
    if (error instanceof CallbackError && error.code === 'access_denied') return undefined;
    throw error;
  }
}

export async function signIn(page: Page): Promise<AgentSignIn | undefined> {
  const agent = createAgent({ issuer: 'https://auth.example', agentId: 'agent_1', agentSecret: 's', model: 'm' });
  try {
    const { clientId, redirectOrigin }: WaitingRequest = await agent.requestOf(page);
    if (clientId === 'client_1' && redirectOrigin) return undefined;
    if (await agent.isWaitingPage(page)) return await agent.signIn(page, { expectedOrigin: 'https://shop.example' });
    return await agentFromEnvironment().signIn(page);
  } catch (error) {
    if (error instanceof AgentError && error.code === 'origin_mismatch') return undefined;
    // @ts-expect-error there is no such code
    if (error instanceof AgentError && error.code === 'no_such_code') return undefined;
    throw error;
  }
}

// @ts-expect-error no request id can be given for a browser's page
void ((page: Page) => agentFromEnvironment().signIn(page, { requestId: 'req_1' }));
`;
