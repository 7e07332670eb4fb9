'use client';
/** Sign in with Auth Agent in React, 18 or newer; importing it on a server does no harm. */

export { type Binding, type IdTokenClaims } from '../common/claims.js';
export { AuthAgentError, ConfigurationError } from '../common/errors.js';
export { type CallbackCode } from '../browser/callback.js';
export { SignInError, type SignInErrorCode } from '../browser/errors.js';
export { type SignedIn } from '../browser/exchange.js';
export { type ErrorDetail, type SignInButtonEvents, type StartDetail } from '../widget/element.js';
export { AuthAgentButton, type AuthAgentButtonProps } from './button.js';
export { type Status } from './store.js';
export { type AuthAgent, type AuthAgentOptions, useAuthAgent } from './use-auth-agent.js';
