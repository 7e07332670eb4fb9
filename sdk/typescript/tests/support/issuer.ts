/** The real program, on a free port, with a data folder of its own; its log never holds a secret. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ADMIN_KEY = 'key-for-the-tests-of-the-libraries-0000000001';

/** Members of the administration's answers that are shown once. */
const SECRETS = ['client_secret', 'agent_secret', 'admin_key'];

/** The built server; `./test` says where it is. */
const PROGRAM =
  process.env.AUTH_AGENT_BIN ??
  new URL('../../../../target/debug/auth-agent', import.meta.url).pathname;

export interface Client {
  client_id: string;
  client_secret?: string;
}

export interface Agent {
  agent_id: string;
  owner_id: string;
  agent_secret: string;
}

export class Issuer {
  private readonly handedOut = new Set([ADMIN_KEY]);

  private constructor(
    /** Its issuer identifier, which is its origin. */
    readonly url: string,
    private readonly folder: string,
    private readonly program: ChildProcess,
    /** What it has written so far. */
    private readonly log: () => string,
  ) {}

  /** Starts it on `host`, which is a loopback address, with more arguments of `auth-agent serve`. */
  static async start(host = '127.0.0.1', ...more: string[]): Promise<Issuer> {
    const folder = await mkdtemp(join(tmpdir(), 'auth-agent-'));
    const url = `http://${host}:${await freePort(host)}`;
    const program = spawn(
      PROGRAM,
      ['serve', '--listen', url.slice('http://'.length), '--data-dir', folder, ...more],
      {
        env: {
          PATH: process.env.PATH,
          AUTH_AGENT_ADMIN_KEY: ADMIN_KEY,
          // As much as it has to say, so that it is seen to be harmless.
          AUTH_AGENT_LOG: 'info,auth_agent=debug',
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    let said = '';
    program.stdout?.on('data', (text) => (said += text));
    program.stderr?.on('data', (text) => (said += text));
    program.once('error', (error) => (said += error.message));
    for (;;) {
      const ready = await fetch(`${url}/api/ready`).catch(() => undefined);
      if (ready?.ok) return new Issuer(url, folder, program, () => said);
      if (program.exitCode !== null || !program.pid) throw new Error(`the server did not start: ${said}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Calls the administration; the answer, which has to be a good one. */
  async admin<T>(method: string, path: string, body?: object): Promise<T> {
    const answer = await fetch(`${this.url}/api/admin/${path}`, {
      method,
      headers: { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
    const made = text ? JSON.parse(text) : undefined;
    for (const name of SECRETS) if (made?.[name]) this.handedOut.add(made[name]);
    return made as T;
  }

  client(redirectUri: string, more: object = {}): Promise<Client> {
    return this.admin('POST', 'clients', {
      client_name: 'Profilio',
      redirect_uris: [redirectUri],
      scope: 'openid profile email',
      ...more,
    });
  }

  agent(more: object = {}): Promise<Agent> {
    return this.admin('POST', 'agents', {
      agent_name: 'Robin',
      user_email: 'ada@example.com',
      user_name: 'Ada Lovelace',
      ...more,
    });
  }

  /** Ends it; fails when a secret stands in what it has written. */
  async stop(): Promise<void> {
    // Not 'exit': its last words may arrive after that.
    const ended = new Promise((resolve) => this.program.once('close', resolve));
    this.program.kill('SIGTERM');
    await ended;
    await rm(this.folder, { recursive: true });
    const leak = this.log()
      .split('\n')
      .find((line) => [...this.handedOut].some((secret) => line.includes(secret)));
    assert.equal(leak, undefined, "a secret is in the server's log");
  }
}

/** A port of that address that nobody listens on. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  assert.ok(address && typeof address === 'object');
  return address.port;
}
