/** What a sign-in by a browser needs: issuer, browser, website, and an agent that signs in. */

import assert from 'node:assert/strict';

import { createAgent } from '@auth-agent/sdk/agent';
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
    await page.locator('#auth-agent-request').waitFor({ state: 'attached' });
    const { agent_id: agentId, agent_secret: agentSecret } = this.agent;
    const agent = createAgent({ issuer: this.issuer.url, agentId, agentSecret, model: 'test-model-1' });
    const { binding } = await agent.signIn(page);
    assert.equal(binding, 'browser');
  }

  async strike(): Promise<void> {
    await this.browser.close();
    await Promise.all([this.issuer.stop(), this.website.stop()]);
  }
}
