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

/** Text of another party, made fit for one line of a message. */
export function oneLine(text: unknown, most = 300): string {
  return String(text)
    .replace(/[^\P{C}\u200c\u200d]/gu, ' ')
    .slice(0, most);
}
