/**
 * The agent's side: signs in where the browser that it drives waits, with Playwright or Puppeteer.
 *
 * It sends nothing to any address but the configured issuer's, and nothing at all unless the
 * browser's own top-level page is a waiting page of that issuer and that browser holds its cookie.
 */
export type { Binding } from '../common/claims.js';
export { AuthAgentError, ConfigurationError } from '../common/errors.js';
export { type Agent, type AgentOptions, type AgentSignIn, type SignInOptions, createAgent } from './agent.js';
export { agentFromEnvironment } from './environment.js';
export { AgentError, type AgentErrorCode } from './errors.js';
export type { BrowserCookie, Page, PlaywrightPage, PuppeteerPage } from './page.js';
export type { WaitingRequest } from './waiting-page.js';
