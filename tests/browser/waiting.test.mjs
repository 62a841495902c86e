// What one writes is sent, whichever place of the page one looks at meanwhile, and the list says what is not.
import assert from 'node:assert/strict';
import { CHARACTER, meet, say, stored } from './chromium.mjs';
import { pictured, product } from './harness.mjs';

const { aim, signedIn } = product({ answers: 'nobody' });

/** Another conversation of one's own, to look at. */
async function another(page) {
  const headers = { origin: aim.url };
  const { character } = await (await page.request.post('/api/characters', { data: { name: 'Ines' }, headers })).json();
  return (await (await page.request.post('/api/conversations', { data: { characterId: character.id }, headers })).json()).conversation.id;
}

/** One's own messages as the server has them, once there are so many. */
async function arrived(page, conversation, count) {
  const until = Date.now() + 30_000;
  for (;;) {
    const mine = (await stored(page, conversation)).filter(({ role }) => role === 'user').map(({ text }) => text);
    if (mine.length >= count || Date.now() > until) return mine;
    await new Promise((wake) => setTimeout(wake, 200));
  }
}

const list = (page) => page.getByRole('navigation', { name: 'Chats' });

signedIn('what is written without a connection is sent once it is back, though one looks elsewhere', async (page, { context }) => {
  const chat = await meet(page);
  await context.setOffline(true);
  await say(page, 'Is anybody there?');
  await page.getByText('Waiting for the connection').waitFor();
  await page.getByRole('link', { name: 'Characters' }).first().click();
  await list(page).getByText('Waiting: Is anybody there?').waitFor();
  await pictured(page, 'waiting-list');
  // And back: it is as it was left.
  await list(page).getByRole('link', { name: CHARACTER }).click();
  await page.getByText('Waiting for the connection').waitFor();
  assert.equal(await page.getByRole('textbox', { name: /^Message to/ }).count(), 1);
  await page.getByRole('link', { name: 'Characters' }).first().click();
  await context.setOffline(false);
  assert.deepEqual(await arrived(page, chat, 1), ['Is anybody there?']);
  await list(page).getByText('You: Is anybody there?').waitFor();
  assert.equal(await list(page).getByText('Waiting:').count(), 0);
});

signedIn('a chat that could not be opened opens by itself once the connection is back', async (page, { context }) => {
  const chat = await meet(page);
  const other = await another(page);
  await page.goto(`/c/${chat}`);
  await page.locator('.log').waitFor();
  await context.setOffline(true);
  await list(page).locator(`a[href="/c/${other}"]`).click();
  await page.getByText('The server cannot be reached').waitFor();
  await context.setOffline(false);
  await page.getByText('This is the beginning of your conversation with Ines.').waitFor();
});

signedIn('what was written in a hurry over a slow network is sent in order, whichever chat is open', async (page) => {
  const chat = await meet(page);
  const other = await another(page);
  await page.routeWebSocket(/socket\.io/, (near) => {
    const far = near.connectToServer();
    near.onMessage((message) => setTimeout(() => far.send(message), 800));
    far.onMessage((message) => setTimeout(() => near.send(message), 800));
  });
  await page.goto(`/c/${chat}`);
  await page.locator('.log').waitFor();
  await page.waitForFunction(() => document.querySelector('.banner--offline') === null);
  for (const text of ['One.', 'Two.', 'Three.']) await say(page, text);
  await page.waitForTimeout(400);
  await list(page).locator(`a[href="/c/${other}"]`).click();
  assert.deepEqual(await arrived(page, chat, 3), ['One.', 'Two.', 'Three.']);
  await list(page).locator(`a[href="/c/${chat}"]`).click();
  await page.locator('[data-message]').getByText('Three.').waitFor();
  assert.equal(await page.getByText('Not sent.').count(), 0);
});
