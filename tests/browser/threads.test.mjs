// A chat list in a real browser: what is unread, branches, titles, what was removed and deleted, and how it is had back.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { requireProduct, startAim } from './aim.mjs';
import { launchChromium, meet, openPage, quiet, register, say, shown, stored } from './chromium.mjs';

const OTHER = 'Folio';
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
let browser;
let aim;

before(async () => {
  requireProduct();
  aim = await startAim();
  browser = await launchChromium();
});

after(async () => {
  await browser?.close();
  await aim?.stop();
});

const list = (page) => page.getByRole('navigation', { name: 'Chats' });
const log = (page) => page.getByRole('log', { name: 'Conversation' });

async function assertAccessible(page, place) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  const serious = violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`);
  assert.deepEqual(serious, [], place);
}

/** Rests until the page shows so many messages, none of them on its way. */
const settled = (page, count) => quiet(page, count);

test('the last exchange is taken back, here and in another window', { timeout: 240_000 }, async () => {
  const { page, context, close } = await openPage(browser, aim.url);
  try {
    await register(page);
    const conversation = await meet(page);
    await say(page, 'This stays.');
    await settled(page, 2);
    await say(page, 'This goes.');
    await settled(page, 3);
    const other = await context.newPage();
    await other.goto(`/c/${conversation}`);
    await log(other).getByText('This goes.').waitFor();

    await page.getByRole('button', { name: 'Delete', exact: true }).click();
    const sure = page.getByRole('button', { name: 'Delete both' });
    assert.ok(await sure.evaluate((button) => button === document.activeElement), 'the focus is kept');
    await sure.press('Enter');
    for (const one of [page, other]) {
      await log(one).getByText('This goes.').waitFor({ state: 'detached' });
    }
    const left = (await stored(page, conversation)).map(({ id }) => id);
    assert.equal(left.length, 3);
    assert.deepEqual((await shown(other)).map(({ id }) => id), left);
    await say(other, 'In its place.');
    await log(page).getByText('In its place.').waitFor();
    await settled(page, 3);
    await page.reload();
    await settled(page, 3);
    assert.deepEqual((await shown(page)).map(({ id }) => id), (await stored(page, conversation)).map(({ id }) => id));
  } finally {
    await close();
  }
});

test('a branch opens with what was said, under a title that can be changed', { timeout: 240_000 }, async () => {
  const { page, close } = await openPage(browser, aim.url);
  try {
    await register(page);
    const conversation = await meet(page);
    await say(page, 'Shall we go left or right?');
    await settled(page, 2);
    await page.locator('[data-seq="1"]').getByRole('button', { name: 'Branch from here' }).click();
    await page.waitForURL((url) => url.pathname.startsWith('/c/') && !url.pathname.endsWith(conversation));
    await page.getByRole('heading', { name: /\(branch\)$/ }).waitFor();
    await log(page).locator('[data-message]').first().waitFor();
    assert.equal((await shown(page)).length, 1);
    await list(page).getByRole('link', { name: /\(branch\)/ }).waitFor();

    const menu = page.getByRole('button', { name: 'Conversation menu' });
    await menu.press('Enter');
    await page.keyboard.press('Enter');
    const title = page.getByRole('textbox', { name: 'Title of the conversation' });
    await title.fill('Another way');
    await title.press('Escape');
    await page.getByRole('heading', { name: /\(branch\)$/ }).waitFor();
    await menu.click();
    await page.getByRole('menuitem', { name: 'Rename' }).click();
    await title.fill('Another way');
    await title.press('Enter');
    await page.getByRole('heading', { name: 'Another way' }).waitFor();
    await list(page).getByRole('link', { name: /^Another way/ }).first().waitFor();
    assert.equal(await page.title(), 'Another way · aim');
    await assertAccessible(page, 'a branch');
  } finally {
    await close();
  }
});

test('a deleted conversation comes back by Undo, and later from the list of what was deleted', { timeout: 240_000 }, async () => {
  const { page, close } = await openPage(browser, aim.url);
  try {
    await register(page);
    const conversation = await meet(page);
    const link = list(page).locator(`a[href="/c/${conversation}"]`);
    await link.waitFor();
    const remove = async () => {
      await page.getByRole('button', { name: 'Conversation menu' }).click();
      await page.getByRole('menuitem', { name: 'Delete' }).click();
      await link.waitFor({ state: 'detached' });
    };
    await remove();
    const undo = page.getByRole('button', { name: 'Undo' });
    await undo.waitFor();
    await undo.focus();
    await page.keyboard.press('Enter');
    await page.waitForURL(`**/c/${conversation}`);
    await link.waitFor();
    await undo.waitFor({ state: 'detached' });

    await remove();
    await undo.waitFor({ state: 'detached', timeout: 20_000 });
    await page.getByRole('link', { name: 'Recently deleted' }).first().click();
    await page.getByRole('heading', { name: 'Recently deleted' }).waitFor();
    await page.getByRole('button', { name: /^Restore/ }).waitFor();
    await assertAccessible(page, 'what was deleted');
    await page.getByRole('button', { name: /^Restore/ }).click();
    await page.waitForURL(`**/c/${conversation}`);
    await log(page).locator('[data-message]').first().waitFor();
    await link.waitFor();
  } finally {
    await close();
  }
});

test('what is said elsewhere counts as unread until it is looked at', { timeout: 240_000 }, async () => {
  const { page, close } = await openPage(browser, aim.url);
  try {
    await register(page);
    const first = await meet(page);
    const second = await meet(page, OTHER);
    const link = list(page).locator(`a[href="/c/${first}"]`);
    const answer = await page.request.post(`/api/conversations/${first}/messages`, {
      data: { type: 'text', text: 'Said on another device.', clientId: 'elsewhere' },
      headers: { origin: aim.url },
    });
    assert.equal(answer.status(), 202);
    await link.getByText(/^1 unread$/).waitFor({ timeout: 120_000 });
    await page.waitForFunction(() => document.title.startsWith('(1) '));
    const order = await list(page).locator('.chat-list a').evaluateAll((links) => links.map((one) => one.getAttribute('href')));
    assert.deepEqual(order, [`/c/${first}`, `/c/${second}`], 'what was said last stands first');
    await assertAccessible(page, 'unread');
    const unread = async () => {
      const { items } = await (await page.request.get('/api/conversations')).json();
      return items.find(({ id }) => id === first).unread;
    };
    assert.equal(await unread(), 1);
    await link.click();
    await link.locator('.unread').waitFor({ state: 'detached' });
    await page.waitForFunction(() => !document.title.startsWith('('));
    await page.waitForFunction(
      async (id) => {
        const { items } = await (await fetch('/api/conversations')).json();
        return items.find((item) => item.id === id).unread === 0;
      },
      first,
      { polling: 200 },
    );
  } finally {
    await close();
  }
});
