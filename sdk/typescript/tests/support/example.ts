/** The examples, started as they are. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../../examples/', import.meta.url));

function start(name: string, command: string[], env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, command, {
    cwd: FOLDER + name,
    env: { PATH: process.env.PATH, NEXT_TELEMETRY_DISABLED: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true, // a group of its own: what it starts ends with it
  });
}

/** A website that runs until it is stopped. */
export class Website {
  private constructor(private readonly program: ChildProcess) {}

  /** Starts it with `node` and waits until it answers at `address`. */
  static async start(
    name: string,
    command: string[],
    env: { ORIGIN: string } & Record<string, string>,
    address = env.ORIGIN,
  ) {
    const program = start(name, command, env);
    let said = '';
    for (const stream of [program.stdout, program.stderr]) stream?.on('data', (text) => (said += text));
    for (;;) {
      const answer = await fetch(address).catch(() => undefined);
      if (answer?.ok) return new Website(program);
      if (answer) assert.fail(`${name} answers ${answer.status}: ${said}`);
      if (program.exitCode !== null) assert.fail(`${name} did not start: ${said}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.program.once('exit', resolve));
    process.kill(-(this.program.pid ?? 0), 'SIGTERM');
    await ended;
  }
}

/** Runs a program to its end; what it printed. */
export async function run(name: string, command: string[], env: Record<string, string>): Promise<string> {
  const program = start(name, command, env);
  let said = '';
  for (const stream of [program.stdout, program.stderr]) stream?.on('data', (text) => (said += text));
  const code = await new Promise((resolve) => program.once('close', resolve));
  assert.equal(code, 0, said);
  return said;
}
