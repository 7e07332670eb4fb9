import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

import { ConfigurationError } from '../common/errors.js';
import { Agent, type AgentOptions } from './agent.js';

type Option = keyof AgentOptions;

const FILE_VARIABLE = 'AUTH_AGENT_CREDENTIALS_FILE';

/** The variables that are read, and the same in a credentials file. */
const NAMES: Record<Option, { variable: string; field: string }> = {
  issuer: { variable: 'AUTH_AGENT_ISSUER', field: 'issuer' },
  agentId: { variable: 'AUTH_AGENT_ID', field: 'agent_id' },
  agentSecret: { variable: 'AUTH_AGENT_SECRET', field: 'agent_secret' },
  model: { variable: 'AUTH_AGENT_MODEL', field: 'model' },
};
const OPTIONS = Object.keys(NAMES) as Option[];

/** Where settings are. */
interface Source {
  /** As an error names it. */
  readonly where: string;
  readonly isFile?: boolean;
  readonly settings: Readonly<Partial<Record<Option, unknown>>>;
}

/**
 * Makes an agent from the environment: `AUTH_AGENT_ISSUER`, `AUTH_AGENT_ID`, `AUTH_AGENT_SECRET` and
 * `AUTH_AGENT_MODEL`. What is not there is taken from the JSON file that `AUTH_AGENT_CREDENTIALS_FILE`
 * names, as `auth-agent agent create --json` prints it (`agent_id`, `agent_secret` or `secret_file`),
 * to which `issuer` and `model` may be added. `agentId` and `agentSecret` have to come from the same place
 * of these, and an `issuer` of the file is good for the file's own agent only.
 *
 * @param overrides come before both. One that is empty is refused.
 * @throws {@link ConfigurationError}, which says what is missing and where it is looked for.
 */
export function agentFromEnvironment(overrides: Partial<AgentOptions> = {}): Agent {
  const path = process.env[FILE_VARIABLE];
  const files = path ? [credentials(path)] : [];
  return new Agent(firstOf([{ where: 'an option', settings: overrides }, environment(), ...files]));
}

/** Takes each setting from the first source that has it, and what belongs together from one. */
function firstOf(sources: Source[]): AgentOptions {
  const found = {} as Record<Option, string>;
  const origin = {} as Record<Option, Source>;
  for (const option of OPTIONS) {
    const source = sources.find(({ settings }) => isGiven(settings[option]));
    if (!source) {
      const { variable, field } = NAMES[option];
      throw new ConfigurationError(
        `${option} is missing: set ${variable}, or ${field} in the file that ${FILE_VARIABLE} names`,
      );
    }
    [found[option], origin[option]] = [text(source, option), source];
  }
  const { issuer, agentId, agentSecret } = origin;
  if (agentId !== agentSecret) {
    throw new ConfigurationError(
      `agentId is of ${agentId.where} and agentSecret of ${agentSecret.where}: give both in the same place`,
    );
  }
  // A secret goes to no issuer that came with another agent's.
  if (issuer.isFile && agentSecret !== issuer) {
    throw new ConfigurationError(
      `issuer is of ${issuer.where} and agentSecret of ${agentSecret.where}: give issuer there too`,
    );
  }
  return found;
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function text({ where, settings }: Source, option: Option): string {
  const value = settings[option];
  if (typeof value === 'string' && value.trim() !== '') return value;
  throw new ConfigurationError(`${option} must be text that is not empty, which that of ${where} is not`);
}

function environment(): Source {
  // A variable that is set to nothing is one that is not set, as everywhere.
  const value = (option: Option) => process.env[NAMES[option].variable] || undefined;
  return { where: 'the environment', settings: eachOption(value) };
}

function credentials(path: string): Source {
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
  if (!isGiven(fields['agent_secret']) && typeof secretFile === 'string') {
    fields['agent_secret'] = read(resolve(dirname(path), secretFile)).trim();
  }
  return { where: path, isFile: true, settings: eachOption((option) => fields[NAMES[option].field]) };
}

function eachOption(value: (option: Option) => unknown): Source['settings'] {
  return Object.fromEntries(OPTIONS.map((option) => [option, value(option)]));
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/^\uFEFF/, ''); // Windows begins files with that
  } catch (error) {
    throw new ConfigurationError(`${path} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}
