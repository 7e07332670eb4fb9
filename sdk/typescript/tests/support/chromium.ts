/** A real Chromium, headless. */

import { accessSync } from 'node:fs';
import { delimiter, join } from 'node:path';

import { type Browser, chromium, type Page } from 'playwright-core';

/** The browser of the system. */
export function executable(): string {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
      try {
        accessSync(join(folder, name));
        return join(folder, name);
      } catch {
        // Not here.
      }
    }
  }
  throw new Error('there is no chromium on PATH');
}

/** Starts one. Pages that it leaves it keeps for the way back, as browsers do. */
export function launch(...args: string[]): Promise<Browser> {
  return chromium.launch({
    executablePath: executable(),
    args: ['--no-sandbox', '--disable-dev-shm-usage', ...args],
    ignoreDefaultArgs: ['--disable-back-forward-cache'],
  });
}

/** Collects what the page complains of: errors, and what its policy refused. */
export function complaints(page: Page): string[] {
  const told: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') told.push(message.text());
  });
  page.on('pageerror', (error) => told.push(String(error)));
  return told;
}
