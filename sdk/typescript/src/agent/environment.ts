import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

import { ConfigurationError } from '../common/errors.js';
import { Agent, type AgentOptions } from './agent.js';

/** The variables that are read, and the same in a credentials file. */
const SOURCES = {
  issuer: ['AUTH_AGENT_ISSUER', 'issuer'],
  agentId: ['AUTH_AGENT_ID', 'agent_id'],
  agentSecret: ['AUTH_AGENT_SECRET', 'agent_secret'],
  model: ['AUTH_AGENT_MODEL', 'model'],
} as const;

/**
 * Makes an agent from the environment: `AUTH_AGENT_ISSUER`, `AUTH_AGENT_ID`, `AUTH_AGENT_SECRET` and
 * `AUTH_AGENT_MODEL`. What is not there is taken from the JSON file that `AUTH_AGENT_CREDENTIALS_FILE`
 * names, as `auth-agent agent create --json` prints it (`agent_id`, `agent_secret` or `secret_file`),
 * to which `issuer` and `model` may be added.
 *
 * @param overrides come before both.
 * @throws {@link ConfigurationError}, which says what is missing and where it is looked for.
 */
export function agentFromEnvironment(overrides: Partial<AgentOptions> = {}): Agent {
  const file = credentials(process.env['AUTH_AGENT_CREDENTIALS_FILE']);
  const find = (option: keyof AgentOptions): string => {
    const [variable, field] = SOURCES[option];
    const value = overrides[option] || process.env[variable] || file[field];
    if (typeof value === 'string' && value) return value;
    throw new ConfigurationError(
      `${option} is missing: set ${variable}, or ${field} in the file that AUTH_AGENT_CREDENTIALS_FILE names`,
    );
  };
  return new Agent({
    issuer: find('issuer'),
    agentId: find('agentId'),
    agentSecret: find('agentSecret'),
    model: find('model'),
  });
}

function credentials(path: string | undefined): Record<string, unknown> {
  if (!path) return {};
  let value: unknown;
  try {
    value = JSON.parse(read(path));
  } catch (error) {
    if (error instanceof ConfigurationError) throw error;
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new ConfigurationError(`${path} is not a JSON object: give what agent create --json printed`);
  }
  const fields: Record<string, unknown> = { ...value };
  const secretFile = fields['secret_file'];
  if (fields['agent_secret'] === undefined && typeof secretFile === 'string') {
    fields['agent_secret'] = read(resolve(dirname(path), secretFile)).trim();
  }
  return fields;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigurationError(`${path} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}
