// An agent that signs in to a website with Playwright. Its settings come from the environment:
//   WEBSITE          the website's address; default http://localhost:4000
//   CHROMIUM         the browser's program, such as /usr/bin/chromium
//   AUTH_AGENT_ISSUER, AUTH_AGENT_ID, AUTH_AGENT_SECRET, AUTH_AGENT_MODEL

import { agentFromEnvironment } from '@auth-agent/sdk/agent';
import { chromium } from 'playwright-core';

const website = process.env.WEBSITE ?? 'http://localhost:4000';
const agent = agentFromEnvironment();

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM });
try {
  const page = await browser.newPage();
  await page.goto(website);
  await page.getByRole('link', { name: 'Sign in with Auth Agent' }).click();
  const end = Date.now() + 30_000;
  while (!(await agent.isWaitingPage(page))) {
    if (Date.now() > end) throw new Error(`No waiting page of ${agent.issuer} came: this is ${page.url()}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }

  const done = await agent.signIn(page, { expectedOrigin: new URL(website).origin });
  console.log(`Signed in to ${done.redirectOrigin}, bound by ${done.binding}`);
  console.log(await page.getByRole('heading').textContent());
} finally {
  await browser.close();
}
