/**
 * Where the library sends nothing: fakes of the waiting page, and pages of other browsers. Each fake
 * writes down every byte it receives; whatever the library itself sends is seen as well.
 */

import assert from 'node:assert/strict';
import http from 'node:http';
import { type TestContext, after, before, test } from 'node:test';

import { AgentError, type AgentErrorCode, createAgent } from '@auth-agent/sdk/agent';
import {
  type Context,
  type DrivenPage,
  type Driver,
  playwright,
  puppeteerDriver,
} from '../support/drivers.js';
import { type Agent, type Client, Issuer } from '../support/issuer.js';
import { type Answer, Recorder } from '../support/recorder.js';

let issuer: Issuer;
let registered: Agent;
let client: Client;
let drivers: Driver[];
let website: Recorder;

before(async () => {
  [issuer, drivers, website] = await Promise.all([
    Issuer.start(),
    Promise.all([playwright(), puppeteerDriver()]),
    Recorder.start('127.0.0.2', () => ({ html: '<title>Website</title>Hello' })),
  ]);
  [registered, client] = await Promise.all([issuer.agent(), issuer.client(redirectUri())]);
});
after(() => Promise.all([issuer, website, ...drivers].map((one) => one.stop())));

const redirectUri = () => `http://127.0.0.2:${website.port}/callback`;

function agentOf(at = issuer.url) {
  const { agent_id: agentId, agent_secret: agentSecret } = registered;
  return createAgent({ issuer: at, agentId, agentSecret, model: 'claude-opus-4' });
}

function authorize(change: Record<string, string> = {}): string {
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: client.client_id,
    redirect_uri: redirectUri(),
    state: 's',
    code_challenge: 'x'.repeat(43),
    code_challenge_method: 'S256',
    ...change,
  });
  return `${issuer.url}/authorize?${query}`;
}

/** Opens a waiting page of the real issuer; the page, its HTML and its request. */
async function waiting(context: Context) {
  const page = await context.newPage();
  await page.goto(authorize());
  const html = await page.content();
  const requestId = /content="(req_[^"]+)"/.exec(html)?.[1];
  assert.ok(requestId, html);
  return { page, html, requestId };
}

/** Tries to sign in: it is refused for that reason, and the library sends nothing to anybody. */
async function refused(t: TestContext, page: DrivenPage, code: AgentErrorCode, agent = agentOf()) {
  const sent = [t.mock.method(globalThis, 'fetch'), t.mock.method(http, 'request')];
  await assert.rejects(agent.signIn(page), (error) => {
    assert.ok(error instanceof AgentError);
    assert.equal(error.code, code, error.message);
    assert.ok(!error.message.includes(registered.agent_secret));
    return true;
  });
  for (const { mock } of sent) {
    assert.equal(mock.callCount(), 0);
    mock.restore();
  }
}

/** The fake got what the browser asks for by itself, and nothing of the agent's. */
function clean(fake: Recorder, cookie?: string) {
  assert.match(fake.received, /^GET /, 'the page was opened');
  assert.ok(!/^(POST|PUT|OPTIONS|HEAD) /m.test(fake.received), fake.received);
  for (const secret of [registered.agent_secret, registered.agent_id, ...(cookie ? [cookie] : [])]) {
    assert.ok(!fake.received.includes(secret), fake.received);
  }
}

/** Runs with each library, in a browser context of its own. */
function inBoth(name: string, body: (t: TestContext, context: Context, driver: Driver) => Promise<void>) {
  test(name, async (t) => {
    for (const driver of drivers) {
      await t.test(driver.name, async (t) => {
        const context = await driver.newContext();
        try {
          await body(t, context, driver);
        } finally {
          await context.close();
        }
      });
    }
  });
}

/** Starts a fake for as long as `body` runs. */
async function withFake(host: string, answer: () => Answer, body: (fake: Recorder) => Promise<void>) {
  const fake = await Recorder.start(host, answer);
  try {
    await body(fake);
  } finally {
    await fake.stop();
  }
}

inBoth('an exact copy on another origin, however alike, gets nothing', async (t, context) => {
  const { html, requestId } = await waiting(context);
  const origin = new URL(issuer.url);
  await withFake(
    '0.0.0.0',
    () => ({ html }),
    async (fake) => {
      const hosts = [
        '127.0.0.1', // another port
        'localhost',
        '127.0.0.2',
        '127.0.0.1.example',
        'auth.example',
        `${origin.hostname}:${origin.port}@auth.example`,
      ];
      const page = await context.newPage();
      for (const host of hosts) {
        await page.goto(`http://${host}:${fake.port}/authorize/${requestId}`);
        assert.equal(await agentOf().isWaitingPage(page), false);
        await refused(t, page, 'wrong_issuer');
      }
      await page.goto(`http://127.0.0.2:${fake.port}/authorize?client_id=${client.client_id}`);
      await refused(t, page, 'wrong_issuer');
      clean(fake);
    },
  );
});

inBoth('an https issuer is not looked for on http', async (t, context) => {
  const { html, requestId } = await waiting(context);
  await withFake(
    '127.0.0.1',
    () => ({ html }),
    async (fake) => {
      const page = await context.newPage();
      await page.goto(`http://auth.example:${fake.port}/authorize/${requestId}`);
      await refused(t, page, 'wrong_issuer', agentOf(`https://auth.example:${fake.port}`));
      await refused(t, page, 'wrong_issuer', agentOf('https://auth.example'));
      clean(fake);
    },
  );
});

inBoth('a page in a frame, or one that has the issuer’s page in a frame, is none', async (t, context) => {
  const { html, requestId } = await waiting(context);
  const frame = `<iframe src="${issuer.url}/authorize/${requestId}"></iframe>`;
  await withFake(
    '127.0.0.2',
    () => ({ html: html + frame }),
    async (fake) => {
      const page = await context.newPage();
      await page.goto(`http://127.0.0.2:${fake.port}/authorize/${requestId}`);
      await refused(t, page, 'wrong_issuer');
      await refused(t, page.mainFrame() as DrivenPage, 'unsupported_page');
      await refused(t, `${issuer.url}/authorize/${requestId}` as never, 'unsupported_page');
      clean(fake);
    },
  );
});

inBoth(
  'a redirect from the issuer to a fake, and from a fake to the issuer, leads nowhere',
  async (t, context) => {
    const { html, requestId, page: own } = await waiting(context);
    await withFake(
      '127.0.0.2',
      () => ({ html }),
      async (fake) => {
        const evil = `http://127.0.0.2:${fake.port}/callback`;
        const { client_id } = await issuer.client(evil);
        const page = await context.newPage();
        // A fault of the request comes back to the website that asked, which shows a copy.
        await page.goto(authorize({ client_id, redirect_uri: evil, response_type: 'token' }));
        assert.equal(new URL(page.url()).port, String(fake.port));
        await refused(t, page, 'wrong_issuer');
        clean(fake);
      },
    );
    await withFake(
      '127.0.0.2',
      () => ({ location: `${issuer.url}/openapi#${requestId}` }),
      async (fake) => {
        await own.goto(`http://127.0.0.2:${fake.port}/`);
        assert.equal(new URL(own.url()).origin, issuer.url);
        await refused(t, own, 'not_a_waiting_page');
        clean(fake);
      },
    );
  },
);

inBoth('an address without a host of its own is not the issuer’s', async (t, context) => {
  const { page, html } = await waiting(context);
  const other = await context.newPage();
  await refused(t, other, 'wrong_issuer');
  await other.setContent(html); // about:blank
  await refused(t, other, 'wrong_issuer');
  await other.goto(
    `data:text/html,${encodeURIComponent('<script type="application/json" id="auth-agent-request">{}</script>')}`,
  );
  await refused(t, other, 'wrong_issuer');

  // The issuer's own origin is inside of this one.
  const blob = await page.evaluate(`(() => {
    const blob = new Blob([document.documentElement.outerHTML.replace(/<script nonce.*?<.script>/gs, '')], { type: 'text/html' });
    return URL.createObjectURL(blob);
  })()`);
  assert.ok(String(blob).startsWith(`blob:${issuer.url}/`));
  await page.evaluate(`void (location.href = ${JSON.stringify(blob)})`);
  while (!page.url().startsWith('blob:')) await new Promise((resolve) => setTimeout(resolve, 10));
  await refused(t, page, 'wrong_issuer');
});

inBoth('a page that goes elsewhere between check and use gets nothing', async (t, context) => {
  const { page, html, requestId } = await waiting(context);
  await withFake(
    '127.0.0.2',
    () => ({ html }),
    async (fake) => {
      const evil = `http://127.0.0.2:${fake.port}/authorize/${requestId}`;
      const moments = ['before it is read', 'after it is read', 'while the cookie is fetched'] as const;
      for (const moment of moments) {
        await page.goto(`${issuer.url}/authorize/${requestId}`);
        const moving = new Proxy(page, {
          get(target, name) {
            const member: unknown = Reflect.get(target, name);
            if (typeof member !== 'function') return member;
            const call = member.bind(target) as (...all: unknown[]) => unknown;
            if (name === 'evaluate' && moment !== 'while the cookie is fetched') {
              return async (expression: string) => {
                if (moment === 'before it is read') await page.goto(evil);
                const found = await call(expression);
                if (moment === 'after it is read') await page.goto(evil);
                return found;
              };
            }
            if (
              (name === 'context' || name === 'browserContext') &&
              moment === 'while the cookie is fetched'
            ) {
              return () => ({
                cookies: async (...urls: unknown[]) => {
                  const { cookies } = call() as { cookies: (...all: unknown[]) => unknown };
                  const found = await cookies.apply(call(), urls);
                  await page.goto(evil);
                  return found;
                },
              });
            }
            return call;
          },
        });
        await refused(t, moving, 'page_changed');
      }
      clean(fake);
    },
  );
});

inBoth('the session of another browser cannot be swapped in', async (t, victim, driver) => {
  const attacker = await driver.newContext();
  try {
    const { requestId, html } = await waiting(attacker);
    const lured = await victim.newPage();
    await lured.goto(`${issuer.url}/authorize/${requestId}`);
    await refused(t, lured, 'not_a_waiting_page');

    await withFake(
      '127.0.0.2',
      () => ({ html }),
      async (fake) => {
        await lured.goto(`http://127.0.0.2:${fake.port}/authorize/${requestId}`);
        await refused(t, lured, 'wrong_issuer');
        clean(fake);
      },
    );

    // Even if the page could be made to name the attacker's request: this browser has no cookie of it.
    const own = await waiting(victim);
    const swap = `void (document.getElementById('auth-agent-request').textContent =
      document.getElementById('auth-agent-request').textContent.replaceAll('${own.requestId}', '${requestId}'))`;
    await own.page.evaluate(`${swap}; history.replaceState(null, '', '/authorize?client_id=x')`);
    await refused(t, own.page, 'not_this_browser');
    await own.page.goto(`${issuer.url}/authorize/${own.requestId}`);
    await own.page.evaluate(swap);
    await refused(t, own.page, 'not_a_waiting_page');

    const status = await fetch(`${issuer.url}/api/check-status?request_id=${requestId}`);
    assert.deepEqual(await status.json(), { status: 'pending' }, 'the attacker’s page still waits');
  } finally {
    await attacker.close();
  }
});

inBoth('a page of the issuer that waits for nobody is told from one that waits', async (t, context) => {
  const page = await context.newPage();
  for (const path of [
    '/openapi',
    '/api/health',
    '/authorize',
    '/authorize/req_1',
    '/authorize/../api/health',
  ]) {
    await page.goto(issuer.url + path);
    assert.equal(await agentOf().isWaitingPage(page), false, path);
    await refused(t, page, 'not_a_waiting_page');
  }
  await page.goto(authorize());
  assert.equal(await agentOf().isWaitingPage(page), true);
});
