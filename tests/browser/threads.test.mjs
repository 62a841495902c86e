// A chat list in a real browser: what is unread, branches, titles, what was removed and deleted, and how it is had back.
import assert from 'node:assert/strict';
import { meet, quiet, say, shown, stored } from './chromium.mjs';
import { assertAccessible, pictured, product } from './harness.mjs';

const OTHER = 'Folio';
const { aim, signedIn } = product();

const list = (page) => page.getByRole('navigation', { name: 'Chats' });
const log = (page) => page.getByRole('log', { name: 'Conversation' });
const menu = (page) => page.getByRole('button', { name: 'Conversation menu' });

/** Waits until this has the focus. */
async function assertFocused(locator) {
  const element = await locator.elementHandle();
  await locator.page().waitForFunction((one) => one === document.activeElement, element);
}

/** Rests until the page shows so many messages, none of them on its way. */
const settled = (page, count) => quiet(page, count);

signedIn('the last exchange is taken back, here and in another window', async (page, { context }) => {
  const conversation = await meet(page);
  await say(page, 'This stays.');
  await settled(page, 2);
  await say(page, 'This goes.');
  await settled(page, 3);
  const other = await context.newPage();
  await other.goto(`/c/${conversation}`);
  await log(other).getByText('This goes.').waitFor();

  const remove = page.getByRole('button', { name: 'Delete', exact: true });
  await remove.press('Enter');
  await page.getByRole('button', { name: 'Keep', exact: true }).press('Enter');
  await assertFocused(remove);
  await page.getByRole('button', { name: 'Edit', exact: true }).press('Enter');
  await page.getByRole('button', { name: 'Keep it' }).press('Enter');
  await assertFocused(page.getByRole('button', { name: 'Edit', exact: true }));
  await remove.click();
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
});

signedIn('a branch opens with what was said, under a title that can be changed', async (page) => {
  const conversation = await meet(page);
  await say(page, 'Shall we go left or right?');
  await settled(page, 2);
  await page.locator('[data-seq="1"]').getByRole('button', { name: 'Branch from here' }).click();
  await page.waitForURL((url) => url.pathname.startsWith('/c/') && !url.pathname.endsWith(conversation));
  await page.getByRole('heading', { name: /\(branch\)$/ }).waitFor();
  await log(page).locator('[data-message]').first().waitFor();
  assert.equal((await shown(page)).length, 1);
  await list(page).getByRole('link', { name: /\(branch\)/ }).waitFor();

  await menu(page).press('Enter');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  const title = page.getByRole('textbox', { name: 'Title of the conversation' });
  await title.fill('Another way');
  await title.press('Escape');
  await page.getByRole('heading', { name: /\(branch\)$/ }).waitFor();
  await assertFocused(menu(page));
  await menu(page).click();
  await page.getByRole('menuitem', { name: 'Rename' }).click();
  await title.fill('Another way');
  await title.press('Enter');
  await page.getByRole('heading', { name: 'Another way' }).waitFor();
  await assertFocused(menu(page));
  await list(page).getByRole('link', { name: /^Another way/ }).first().waitFor();
  assert.equal(await page.title(), 'Another way · aim');
  await assertAccessible(page, 'a branch');
  await pictured(page, 'branch-desk');

  // It says what it is, and leads to what it came from for as long as that is there.
  await list(page).getByRole('link', { name: /^Another way \(a branch\)/ }).first().waitFor();
  await page.reload();
  const origin = page.getByText('Branched off from');
  await origin.getByRole('link').click();
  await page.waitForURL(`**/c/${conversation}?at=1`);
  await page.locator('.said--found').waitFor();
  assert.equal(await origin.count(), 0, 'this one is no branch');
  const gone = await page.request.delete(`/api/conversations/${conversation}`, { headers: { origin: aim.url } });
  assert.equal(gone.status(), 204);
  await list(page).getByRole('link', { name: /^Another way/ }).first().click();
  await page.getByText('Branched off from another conversation').waitFor();
  await page.reload();
  await page.getByText('Branched off from another conversation').waitFor();
});

signedIn('a new chat begins beside the old one, and is the one to talk in from then on', async (page) => {
  const first = await meet(page);
  await say(page, 'Remember the harbour.');
  await settled(page, 2);
  await menu(page).press('Enter');
  await page.keyboard.press('Enter');
  await page.waitForURL((url) => url.pathname.startsWith('/c/') && !url.pathname.endsWith(first));
  const second = new URL(page.url()).pathname.split('/').at(-1);
  await settled(page, 1);
  assert.equal(await log(page).getByText('Remember the harbour.').count(), 0);
  for (const one of [first, second]) await list(page).locator(`a[href="/c/${one}"]`).waitFor();
  await say(page, 'Remember the lighthouse.');
  await settled(page, 2);
  assert.equal(await meet(page), second);
  // On the sheet as well, by another greeting where it has one.
  await page.goBack();
  await page.getByRole('button', { name: 'New chat', exact: true }).click();
  await page.waitForURL((url) => url.pathname.startsWith('/c/') && !url.pathname.endsWith(second));
  await settled(page, 1);
  await list(page).locator(`a[href="/c/${first}"]`).click();
  await log(page).getByText('Remember the harbour.').first().waitFor();
});

signedIn('a deleted conversation comes back by Undo, and later from the list of what was deleted', async (page) => {
  const conversation = await meet(page);
  const link = list(page).locator(`a[href="/c/${conversation}"]`);
  await link.waitFor();
  const remove = async () => {
    await menu(page).click();
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
  // It stays while it has the focus, and can be closed.
  await undo.press('Escape');
  await undo.waitFor({ state: 'detached' });
  await page.waitForFunction(() => document.activeElement?.closest('main') != null);
  await page.getByRole('link', { name: 'Recently deleted' }).first().click();
  await page.getByRole('heading', { name: 'Recently deleted' }).waitFor();
  await page.getByRole('button', { name: /^Restore/ }).waitFor();
  await assertAccessible(page, 'what was deleted');
  await page.getByRole('button', { name: /^Restore/ }).click();
  await page.waitForURL(`**/c/${conversation}`);
  await log(page).locator('[data-message]').first().waitFor();
  await link.waitFor();
});

signedIn('what is said elsewhere counts as unread until it is looked at', async (page, { elsewhere }) => {
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
});
