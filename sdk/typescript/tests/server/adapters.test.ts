/** The handlers behind `node:http`, as Express and its body parsers leave a request. */

import assert from 'node:assert/strict';
import { type RequestListener, createServer, request as open } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';

import {
  type NodeRequest,
  createClient,
  createHandlers,
  expressHandler,
  nextHandlers,
} from '@auth-agent/sdk/server';
import { FakeIssuer } from '../support/fake-issuer.js';

async function withHandlers(
  body: (handlers: ReturnType<typeof createHandlers>, fake: FakeIssuer) => Promise<void>,
) {
  const fake = await FakeIssuer.start();
  try {
    const redirectUri = 'http://localhost:9/auth/callback';
    const client = createClient({ issuer: fake.url, clientId: 'client_1', redirectUri });
    await body(createHandlers({ client, cookieSecret: 'a cookie secret of the tests, long enough' }), fake);
  } finally {
    await fake.stop();
  }
}

async function withServer(listener: RequestListener, body: (origin: string) => Promise<void>) {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await body(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

/** Asks as `fetch` would not. */
function statusOf(origin: string, options: { method?: string; path: string }): Promise<number | undefined> {
  const { hostname: host, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    const asked = open({ host, port, ...options }, (answer) => resolve(answer.resume().statusCode));
    asked.on('error', reject).end();
  });
}

async function logoutToken(fake: FakeIssuer): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const events = { 'http://schemas.openid.net/event/backchannel-logout': {} };
  const claims = {
    iss: fake.url,
    aud: 'client_1',
    iat: now,
    exp: now + 60,
    jti: crypto.randomUUID(),
    sid: 'r',
    events,
  };
  return fake.sign(claims, 'logout+jwt');
}

test('what is not ours goes on to the next, and what is ours is answered', async () => {
  await withHandlers(async (handlers) => {
    const middleware = expressHandler(handlers);
    await withServer(
      (request, response) => middleware(request, response, () => response.writeHead(418).end('next')),
      async (origin) => {
        for (const path of ['/', '/auth', '/auth/login/', '/auth//login', '//auth/login', '/auth/%6cogin']) {
          assert.equal((await fetch(origin + path)).status, 418, path);
        }
        const login = await fetch(`${origin}/auth/login`, { redirect: 'manual' });
        assert.equal(login.status, 303);
        assert.equal(login.headers.getSetCookie().length, 1);
        for (const method of ['HEAD', 'DELETE', 'TRACE']) {
          assert.equal(await statusOf(origin, { method, path: '/auth/login' }), 405, method);
        }
        const failed = await fetch(`${origin}/auth/callback?state=x`);
        assert.equal(failed.status, 400);
        assert.match(await failed.text(), /Try again/);
      },
    );
  });
});

test('a request target that is a whole address, or none, does no harm', async () => {
  await withHandlers(async (handlers) => {
    const middleware = expressHandler(handlers);
    await withServer(
      (request, response) => middleware(request, response, () => response.writeHead(418).end()),
      async (origin) => {
        for (const path of ['http://evil.example/auth/login', '/auth/login\\..\\x', '/%', '//']) {
          assert.equal(await statusOf(origin, { path }), 418, path);
        }
      },
    );
  });
});

test('a form is read from the stream, and from what a body parser left', async () => {
  await withHandlers(async (handlers, fake) => {
    const middleware = expressHandler(handlers);
    const leave = {
      nothing: () => undefined,
      text: (body: string) => body,
      bytes: (body: string) => Buffer.from(body),
      fields: (body: string) => Object.fromEntries(new URLSearchParams(body)),
      'an empty object, unread': () => ({}), // Express 4's parser of JSON
    };
    for (const [name, parsed] of Object.entries(leave)) {
      const listener: RequestListener = async (request, response) => {
        if (!name.endsWith('unread') && name !== 'nothing') {
          let text = '';
          for await (const chunk of request) text += chunk;
          (request as NodeRequest).body = parsed(text);
        } else if (name !== 'nothing') (request as NodeRequest).body = parsed('');
        middleware(request, response, (error) => response.writeHead(500).end(String(error)));
      };
      await withServer(listener, async (origin) => {
        const body = new URLSearchParams({ logout_token: await logoutToken(fake) });
        const answer = await fetch(`${origin}/auth/backchannel-logout`, { method: 'POST', body });
        assert.equal(answer.status, 200, `${name}: ${await answer.text()}`);
      });
    }
  });
});

test('cookies that earlier middleware has set stay', async () => {
  await withHandlers(async (handlers) => {
    const middleware = expressHandler(handlers);
    const listener: RequestListener = (request, response) => {
      response.setHeader('set-cookie', 'theme=dark');
      middleware(request, response, () => response.end());
    };
    await withServer(listener, async (origin) => {
      const login = await fetch(`${origin}/auth/login`, { redirect: 'manual' });
      const names = login.headers.getSetCookie().map((cookie) => cookie.replace(/[=.].*/, ''));
      assert.deepEqual(names, ['theme', 'auth_agent_tx']);
    });
  });
});

test('an error of the website’s own goes to Express', async () => {
  const redirectUri = 'http://localhost:9/auth/callback';
  const broken = createHandlers({
    client: createClient({ issuer: 'http://127.0.0.1:9', clientId: 'client_1', redirectUri }),
    cookieSecret: 'a cookie secret of the tests, long enough',
    onError: () => {
      throw new Error('of the website');
    },
  });
  const middleware = expressHandler(broken);
  await withServer(
    (request, response) =>
      middleware(request, response, (error) => response.writeHead(500).end(String(error))),
    async (origin) => {
      const answer = await fetch(`${origin}/auth/callback`);
      assert.equal(await answer.text(), 'Error: of the website');
    },
  );
});

test('Next.js gets a 404 for what is not ours, and its handlers are made when they are asked for', async () => {
  await withHandlers(async (handlers) => {
    let made = 0;
    const { GET, POST } = nextHandlers(() => (made++, handlers));
    assert.equal(made, 0);
    assert.equal((await GET(new Request('http://localhost:9/auth/nothing'))).status, 404);
    assert.equal((await GET(new Request('http://localhost:9/auth/login'))).status, 303);
    assert.equal((await POST(new Request('http://localhost:9/auth/logout', { method: 'POST' }))).status, 303);
  });
});
