/** How the button looks and sounds: themes, contrast, sizes, directions, and what a website sets. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import type { Page } from 'playwright-core';

import { violations } from '../support/axe.js';
import { Scene } from '../support/scene.js';
import { button, page as html, policy } from '../support/shop.js';

/** Where pictures go, for a person to look at; none are taken without it. */
const PICTURES = process.env.PICTURES;

describe('the look of the button', () => {
  let scene: Scene;
  let page: Page;

  before(async () => {
    scene = await Scene.set();
    // Without motion a colour is at once what it is to be.
    const viewport = { width: 420, height: 260 };
    page = await scene.browser.newPage({ viewport, reducedMotion: 'reduce' });
  });
  after(() => scene.strike());

  /** Opens a page with a button of these attributes on it. */
  async function show(attributes: Record<string, string> = {}, head = ''): Promise<void> {
    const body = head + button({ ...scene.attributes, ...attributes });
    const headers = { 'content-security-policy': policy(scene) };
    scene.website.contents.set('/looks', { body: html(scene, body), headers });
    await page.goto(`${scene.website.url}/looks`);
    await page.locator('auth-agent-signin:defined').waitFor();
  }
  const inner = () => page.getByRole('button');
  const style = (name: 'backgroundColor' | 'color' | 'borderTopColor' | 'direction') =>
    inner().evaluate((button, name) => getComputedStyle(button)[name], name);
  const LIGHT = 'rgb(255, 255, 255)';
  const DARK = 'rgb(29, 35, 33)';

  // A page that says `color-scheme: light dark` follows the system; one that says nothing is light.
  const FOLLOWS = '<meta name="color-scheme" content="light dark">';
  for (const [what, attributes, head, system, ground] of [
    ['auto is light on a page that knows light alone', {}, '', 'dark', LIGHT],
    ['auto follows a page that follows the system', {}, FOLLOWS, 'dark', DARK],
    ['auto follows it to light too', { theme: 'auto' }, FOLLOWS, 'light', LIGHT],
    ['light is light', { theme: 'light' }, FOLLOWS, 'dark', LIGHT],
    ['dark is dark', { theme: 'dark' }, '', 'light', DARK],
  ] as const) {
    test(`${what}, and nothing is wrong with it`, async () => {
      await page.emulateMedia({ colorScheme: system });
      await show(attributes, head);
      assert.equal(await style('backgroundColor'), ground);
      assert.deepEqual(await violations(page), []);
      if (PICTURES) await page.screenshot({ path: `${PICTURES}/${what.replaceAll(' ', '-')}.png` });
      // With its message and in focus it is as good.
      await page.locator('auth-agent-signin').evaluate((it) => it.removeAttribute('client-id'));
      await inner().press('Enter');
      await page.getByRole('alert').getByText('client-id').waitFor();
      assert.deepEqual(await violations(page), []);
      if (PICTURES) await page.screenshot({ path: `${PICTURES}/${what.replaceAll(' ', '-')}-fault.png` });
    });
  }

  test('keeps its borders and its mark where the system sets the colours', async () => {
    await page.emulateMedia({ forcedColors: 'active', colorScheme: 'light' });
    await show();
    assert.notEqual(await style('borderTopColor'), await style('backgroundColor'));
    const mark = page.locator('auth-agent-signin rect');
    const [stroke, color] = await mark.evaluate((rect) => {
      const { stroke, color } = getComputedStyle(rect);
      return [stroke, color];
    });
    assert.equal(stroke, color);
    if (PICTURES) await page.screenshot({ path: `${PICTURES}/forced-colors.png` });
    await page.emulateMedia({ forcedColors: 'none' });
  });

  test('does not move where motion is not wanted', async () => {
    await show();
    const duration = () => inner().evaluate((it) => getComputedStyle(it).transitionDuration);
    assert.equal(await duration(), '0s');
    await page.emulateMedia({ reducedMotion: 'no-preference' });
    assert.notEqual(await duration(), '0s');
    await page.emulateMedia({ reducedMotion: 'reduce' });
  });

  test('is large enough to touch, and no wider than its page', async () => {
    await show({ label: 'Go' });
    const small = await inner().boundingBox();
    assert.ok(small && small.height >= 44 && small.width >= 44, JSON.stringify(small));
    await page.setViewportSize({ width: 200, height: 300 });
    await show({ label: 'Sign in with the agent that works for your whole department' });
    const long = await inner().boundingBox();
    assert.ok(long && long.x + long.width <= 200, JSON.stringify(long));
    await page.setViewportSize({ width: 420, height: 260 });
  });

  test('runs from right to left where the page does', async () => {
    await show({ label: 'تسجيل الدخول' });
    await page.evaluate(() => (document.dir = 'rtl'));
    assert.equal(await style('direction'), 'rtl');
    const mark = await page.locator('auth-agent-signin svg').boundingBox();
    const text = await page.locator('auth-agent-signin [part=label]').boundingBox();
    assert.ok(mark && text && mark.x > text.x);
    if (PICTURES) await page.screenshot({ path: `${PICTURES}/rtl.png` });
  });

  test('says what its label says, and minds when that changes', async () => {
    await show();
    const host = page.locator('auth-agent-signin');
    const name = async () => (await inner().ariaSnapshot()).trim();
    assert.equal(await name(), '- button "Sign in with Auth Agent"');
    await host.evaluate((it) => it.setAttribute('label', 'Log in <b>'));
    assert.equal(await name(), '- button "Log in <b>"');
    await host.evaluate((it) => {
      const own = document.createElement('em');
      own.slot = 'label';
      own.textContent = 'Own words';
      it.append(own);
    });
    assert.match(await name(), /^- button "Own words"/);
    await host.evaluate((it) => it.replaceChildren());
    await host.evaluate((it) => it.setAttribute('disabled', ''));
    assert.equal(await name(), '- button "Log in <b>" [disabled]');
    await host.evaluate((it: HTMLElement & { disabled?: boolean }) => (it.disabled = false));
    assert.equal(await name(), '- button "Log in <b>"');
    await host.evaluate((it) => it.setAttribute('theme', 'dark'));
    assert.equal(await style('backgroundColor'), DARK);
  });

  test('is disabled as it was set to before it was defined', async () => {
    await show();
    const disabled = await page.evaluate(() => {
      const early = document.createElement('auth-agent-signin');
      // As a framework leaves it that sets properties before the script has come.
      Object.defineProperty(early, 'disabled', { value: true, writable: true, configurable: true, enumerable: true });
      document.body.append(early);
      const inner = early.shadowRoot?.querySelector('button');
      const before = [early.hasAttribute('disabled'), inner?.disabled];
      early.disabled = false;
      return [...before, early.hasAttribute('disabled'), inner?.disabled];
    });
    assert.deepEqual(disabled, [true, true, false, false]);
  });

  test('takes the styles of a website by its parts, and the focus', async () => {
    await show();
    await page.evaluate(() => {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync('auth-agent-signin::part(button) { background: rgb(1, 2, 3) }');
      document.adoptedStyleSheets = [sheet];
      document.querySelector<HTMLElement>('auth-agent-signin')?.focus();
    });
    assert.equal(await style('backgroundColor'), 'rgb(1, 2, 3)');
    assert.ok(await inner().evaluate((it) => it.matches(':focus')));
  });

  test('leaves a link where scripts do not run', async () => {
    const without = await scene.browser.newContext({ javaScriptEnabled: false });
    const page = await without.newPage();
    await page.goto(`${scene.website.url}/looks`);
    await page.getByRole('link', { name: 'Sign in (link)' }).waitFor();
    assert.equal(await page.getByRole('button').count(), 0);
    await without.close();
  });
});
