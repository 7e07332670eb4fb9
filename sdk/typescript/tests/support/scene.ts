/** What a sign-in by a browser needs: issuer, browser, website, and an agent that signs in. */

import assert from 'node:assert/strict';

import type { Browser, Page } from 'playwright-core';

import { launch } from './chromium.js';
import { type Agent, type Client, Issuer } from './issuer.js';
import { Website } from './website.js';

export const CALLBACK = '/callback';

export class Scene {
  private constructor(
    readonly issuer: Issuer,
    readonly browser: Browser,
    readonly website: Website,
    readonly client: Client,
    readonly agent: Agent,
  ) {}

  /** @param more more fields of the client. */
  static async set(more: object = {}, ...args: string[]): Promise<Scene> {
    const [issuer, browser, website] = await Promise.all([
      Issuer.start(),
      launch(...args),
      Website.start(),
    ]);
    const client = await issuer.client(website.url + CALLBACK, more);
    const agent = await issuer.agent();
    return new Scene(issuer, browser, website, client, agent);
  }

  /** What the button is given in most tests. */
  get attributes(): Record<string, string> {
    return { 'client-id': this.client.client_id, 'redirect-uri': this.website.url + CALLBACK };
  }

  /** The agent signs in to the request whose waiting page this tab shows, bound to its browser. */
  async authenticate(page: Page): Promise<void> {
    await page.waitForURL(`${this.issuer.url}/authorize**`);
    const told = await page.locator('#auth-agent-request').textContent();
    const { request_id } = JSON.parse(told ?? '') as { request_id: string };
    const cookies = await page.context().cookies(this.issuer.url);
    const answer = await fetch(`${this.issuer.url}/api/agent/authenticate`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        cookie: cookies.map(({ name, value }) => `${name}=${value}`).join('; '),
      },
      body: JSON.stringify({
        request_id,
        agent_id: this.agent.agent_id,
        agent_secret: this.agent.agent_secret,
        model: 'test-model-1',
      }),
    });
    const said = (await answer.json()) as { binding: string };
    assert.equal(said.binding, 'browser', JSON.stringify(said));
  }

  async strike(): Promise<void> {
    await this.browser.close();
    await Promise.all([this.issuer.stop(), this.website.stop()]);
  }
}
