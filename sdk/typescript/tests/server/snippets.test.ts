/** The routes that README.md and docs/websites.md show: a failure is Express's, of version 4 too, and ends no process. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

type Route = (request: object, response: object, next: (error?: unknown) => void) => Promise<void>;

/** The route that the page's first snippet with one adds to `app`; `names` are what else it finds there. */
async function routeIn(page: string, names: Record<string, unknown>): Promise<Route> {
  const text = await readFile(new URL(`../../../../${page}`, import.meta.url), 'utf8');
  const snippets = [...text.matchAll(/```js\n(.*?)```/gs)].map(([, code = '']) => code);
  const code = snippets.find((snippet) => snippet.includes('app.'));
  assert.ok(code, page);
  let route: Route | undefined;
  const add = (...given: unknown[]) => (route = given.at(-1) as Route);
  const all = { ...names, app: { use: () => {}, get: add, post: add } };
  const program = code.replace(/^import .*$/gm, '').replaceAll('…', '');
  new Function(...Object.keys(all), program)(...Object.values(all));
  assert.ok(route, code);
  return route;
}

const failure = new Error('of the test');
const fail = () => Promise.reject(failure);
const PAGES: Record<string, Record<string, unknown>> = {
  'docs/websites.md': {
    ...{ issuer: '', clientId: '', clientSecret: '', redirectUri: '' },
    createClient: () => ({ exchange: fail }),
    express: { json: () => {} },
  },
  'sdk/typescript/README.md': {
    createClient: () => {},
    createHandlers: () => ({ getSession: fail }),
    expressHandler: () => {},
  },
};

for (const [page, names] of Object.entries(PAGES)) {
  test(`the route in ${page} hands a failure on`, async () => {
    const route = await routeIn(page, names);
    const told: unknown[] = [];
    await route({}, {}, (error) => told.push(error));
    assert.deepEqual(told, [failure]);
  });
}
