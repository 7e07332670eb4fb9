/**
 * The website as its developer would write it with the button: two pages under the strictest policy
 * that lets them work, and a backend that exchanges the code.
 */

import assert from 'node:assert/strict';

import { decodeJwt } from 'jose';

import { CALLBACK, type Scene } from './scene.js';

/** How the button's script is loaded. */
export type Loading = 'module' | 'async' | 'both';

/** The page's policy: nothing but the button's script. */
export const policy = (scene: Scene) =>
  `default-src 'none'; script-src ${scene.issuer.url}; style-src 'none'; require-trusted-types-for 'script'`;

const CALLBACK_SCRIPT = `
const told = document.getElementById('told');
try {
  const answer = await AuthAgent.handleCallback();
  const response = await fetch('/session', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(answer),
  });
  const { agent_id, message } = await response.json();
  told.textContent = response.ok ? 'Signed in: ' + agent_id : message;
} catch (error) {
  told.textContent = error.code + ': ' + error.message;
}`;

/** The button with attributes, and a link for those without scripts. */
export function button(attributes: Record<string, string>): string {
  const written = Object.entries(attributes).map(([name, value]) => ` ${name}="${value}"`);
  return `<auth-agent-signin${written.join('')}><a href="/login">Sign in (link)</a></auth-agent-signin>`;
}

/** A page with something on it, and the script. */
export function page(scene: Scene, body: string, loading: Loading = 'module'): string {
  const src = `${scene.issuer.url}/widget/signin-button.js`;
  const module = `<script type="module" src="${src}"></script>`;
  const async = `<script src="${src}" async></script>`;
  const scripts = { module, async, both: module + async }[loading];
  return `<!doctype html><html lang="en"><title>Shop</title>${scripts}<main><h1>Shop</h1>${body}</main></html>`;
}

/** Opens the shop: the button at `/`, its callback, and the backend. */
export function open(scene: Scene, loading: Loading = 'module'): void {
  const { issuer, website, client } = scene;
  const headers = { 'content-security-policy': policy(scene) };
  website.contents.set('/', { body: page(scene, button(scene.attributes), loading), headers });
  website.contents.set(CALLBACK, {
    body: page(scene, '<p id="told" role="alert"></p><script type="module" src="/callback.js"></script>'),
    headers: {
      'content-security-policy': `default-src 'none'; script-src ${issuer.url} 'self'; connect-src 'self'; style-src 'none'`,
    },
  });
  website.contents.set('/callback.js', { body: CALLBACK_SCRIPT, type: 'text/javascript' });
  website.handlers.set('/session', async (body, request) => {
    assert.equal(request.headers['content-type'], 'application/json');
    const { code, codeVerifier, nonce, redirectUri } = JSON.parse(body) as Record<string, string>;
    const answer = await fetch(`${issuer.url}/token`, {
      method: 'POST',
      headers: {
        authorization: `Basic ${btoa(`${client.client_id}:${client.client_secret}`)}`,
      },
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        code: code ?? '',
        code_verifier: codeVerifier ?? '',
        redirect_uri: redirectUri ?? '',
      }),
    });
    const tokens = (await answer.json()) as { id_token: string };
    assert.equal(answer.status, 200, JSON.stringify(tokens));
    const claims = decodeJwt(tokens.id_token);
    assert.equal(claims.nonce, nonce);
    return { agent_id: claims.agent_id };
  });
}
