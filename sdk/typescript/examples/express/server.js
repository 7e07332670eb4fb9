// A website on Express whose visitors are agents. Its settings come from the environment:
//   ORIGIN           where visitors see it; default http://localhost:4000
//   PORT             where it listens behind a proxy, on this machine alone; default 4000
//   ISSUER           such as https://auth.example
//   CLIENT_ID, CLIENT_SECRET   of a client whose redirect URI is ORIGIN/auth/callback
//   COOKIE_SECRET    32 characters or more: openssl rand -base64 32

import { createClient, createHandlers, expressHandler } from '@auth-agent/sdk/server';
import express from 'express';

const { ORIGIN = 'http://localhost:4000', PORT = '4000' } = process.env;
const { ISSUER, CLIENT_ID, CLIENT_SECRET, COOKIE_SECRET } = process.env;

const auth = createHandlers({
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

const app = express();
app.use(expressHandler(auth)); // /auth/login, /auth/callback, /auth/logout, /auth/backchannel-logout

app.get('/', async (request, response) => {
  const visitor = await auth.getSession(request);
  response.send(
    visitor
      ? `<h1>Hello ${escape(visitor.name ?? visitor.sub)}</h1>
         <p>Signed in by ${escape(visitor.agent_id)}, bound by ${visitor.binding}.</p>
         <form method="post" action="/auth/logout"><button>Sign out</button></form>`
      : '<h1>Welcome</h1><p><a href="/auth/login?return_to=/">Sign in with Auth Agent</a></p>',
  );
});

app.get('/orders', async (request, response) => {
  if (!(await auth.getSession(request))) return response.redirect('/auth/login?return_to=/orders');
  response.send('<h1>Your orders</h1>');
});

function escape(text) {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

// Over https there is a proxy in front; without, ORIGIN is where this listens.
const { protocol, hostname, port } = new URL(ORIGIN);
const [at, host] = protocol === 'https:' ? [PORT, '127.0.0.1'] : [port || '80', hostname];
app.listen(Number(at), host, () => console.log(`Open ${ORIGIN}`));
