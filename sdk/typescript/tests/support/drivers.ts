/** The two libraries that drive a browser, as far as they are alike. */

import puppeteer from 'puppeteer-core';

import type { Page } from '@auth-agent/sdk/agent';
import { executable, launch } from './chromium.js';

export type DrivenPage = Page & {
  goto(address: string): Promise<unknown>;
  reload(): Promise<unknown>;
  content(): Promise<string>;
  setContent(html: string): Promise<void>;
  mainFrame(): unknown;
  close(): Promise<void>;
};

/** A browser's own cookies and pages, apart from all others. */
export interface Context {
  newPage(): Promise<DrivenPage>;
  close(): Promise<void>;
}

export interface Driver {
  readonly name: string;
  newContext(): Promise<Context>;
  stop(): Promise<void>;
}

// Names end in .example or .test, and lead to this machine.
const NAMES = '--host-resolver-rules=MAP *.example 127.0.0.1, MAP *.test 127.0.0.1';

export async function playwright(): Promise<Driver> {
  const browser = await launch(NAMES);
  return { name: 'Playwright', newContext: () => browser.newContext(), stop: () => browser.close() };
}

export async function puppeteerDriver(): Promise<Driver> {
  const browser = await puppeteer.launch({
    executablePath: executable(),
    args: ['--no-sandbox', '--disable-dev-shm-usage', NAMES],
  });
  return {
    name: 'Puppeteer',
    newContext: () => browser.createBrowserContext(),
    stop: () => browser.close(),
  };
}
