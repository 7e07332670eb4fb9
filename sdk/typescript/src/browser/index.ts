/** The browser's side of a website: leave to sign in, and take the answer that comes back. */

export { type Binding, type IdTokenClaims } from '../common/claims.js';
export { AuthAgentError, ConfigurationError } from '../common/errors.js';
export {
  defineSignInButton,
  type SignInButtonElement,
  type SignInButtonEvents,
} from '../widget/element.js';
export { type CallbackCode, isCallback } from './callback.js';
export { SignInError, type SignInErrorCode } from './errors.js';
export { type SignedIn } from './exchange.js';
export { type CallbackOptions, handleCallback } from './handle-callback.js';
export { signIn, type SignInOptions } from './sign-in.js';
