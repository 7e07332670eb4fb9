// Settings come from the environment:
//   ORIGIN           where visitors see the website; default http://localhost:4001
//   ISSUER           such as https://auth.example
//   CLIENT_ID, CLIENT_SECRET   of a client whose redirect URI is ORIGIN/auth/callback
//   COOKIE_SECRET    32 characters or more: openssl rand -base64 32

import { createClient, createHandlers } from '@auth-agent/sdk/server';

let handlers;

/** Made when it is first asked for: a build has no settings. */
export function auth() {
  const { ORIGIN = 'http://localhost:4001', ISSUER, CLIENT_ID, CLIENT_SECRET, COOKIE_SECRET } = process.env;
  handlers ??= createHandlers({
    client: createClient({
      issuer: ISSUER,
      clientId: CLIENT_ID,
      clientSecret: CLIENT_SECRET,
      redirectUri: `${ORIGIN}/auth/callback`,
      scope: 'openid profile email',
      minimumBinding: 'browser',
    }),
    cookieSecret: COOKIE_SECRET,
  });
  return handlers;
}
