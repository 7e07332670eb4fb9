/**
 * What every error of this package is: a stable `code` for programs, and a message that says what
 * to do. No message holds a secret, a code or a token, and no `cause` is kept: those of HTTP and
 * OAuth libraries hold whole answers.
 */
export class AuthAgentError extends Error {
  // Spelt out: a bundler that minifies renames classes.
  override name = 'AuthAgentError';
  /** Which error it is; it stays the same from version to version. */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** A setting is missing or wrong: nothing was sent anywhere. */
export class ConfigurationError extends AuthAgentError {
  override name = 'ConfigurationError';

  constructor(message: string) {
    super('configuration', message);
  }
}

/** A request got no answer, or none that is read. Its message says why and holds nothing secret: it is shown. */
export class NoAnswer extends Error {}

/** Why a request did not get through, without the addresses and headers that its error may hold. */
export function whyItFailed(error: unknown): string {
  if (!(error instanceof Error)) return 'no answer';
  if (error instanceof NoAnswer) return error.message;
  if (error.name === 'TimeoutError') return 'no answer in time';
  if (error.name === 'AbortError') return 'aborted';
  const cause = error.cause as { code?: unknown } | undefined;
  return typeof cause?.code === 'string' ? cause.code : 'the connection failed';
}

/** Text of another party, made fit for one line of a message. */
export function oneLine(text: unknown, most = 300): string {
  return String(text)
    .replace(/[^\P{C}\u200c\u200d]/gu, ' ')
    .slice(0, most);
}
