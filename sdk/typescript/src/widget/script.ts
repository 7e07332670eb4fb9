/**
 * What `GET /widget/signin-button.js` serves: one file that works as a module and as a classic script.
 * It defines the button, and gives the page of the redirect URI, which has no package to import,
 * `AuthAgent.handleCallback()`.
 */

import { codeOf, type CallbackCode, isCallback, readAnswer } from '../browser/callback.js';
import { signIn } from '../browser/sign-in.js';
import { defineSignInButton } from './element.js';

const PATH = '/widget/signin-button.js';

/** The server that a script came from: what stands before the script's own path. */
function serverOf(script: HTMLOrSVGScriptElement | null): string | undefined {
  if (!(script instanceof HTMLScriptElement) || !script.src) return undefined;
  const { origin, pathname } = new URL(script.src);
  return pathname.endsWith(PATH) ? origin + pathname.slice(0, -PATH.length) : undefined;
}

/** A module is not told which element it came from; if several servers could be meant, none is. */
function server(): string | undefined {
  const own = serverOf(document.currentScript);
  if (own) return own;
  const candidates = new Set([...document.scripts].map(serverOf).filter(Boolean));
  return candidates.size === 1 ? [...candidates][0] : undefined;
}

async function handleCallback(): Promise<CallbackCode> {
  return codeOf(readAnswer());
}

defineSignInButton(server());
(globalThis as { AuthAgent?: object }).AuthAgent ??= Object.freeze({ handleCallback, isCallback, signIn });
