// Personas on the page: made in the settings, chosen in a chat, seen on what one says.
import assert from 'node:assert/strict';
import { register, say } from './chromium.mjs';
import { assertAccessible, assertFits, drawn, PHONE, pictured, product } from './harness.mjs';

const { aim, signedIn } = product({ answers: 'nobody' });

/** A chat with a character of one's own that greets one by name; its address. */
async function talk(page) {
  const draft = { name: 'Mara', greeting: 'Ahoy, {{user}}.' };
  const { character } = await (await page.request.post('/api/characters', { data: draft, headers: { origin: aim.url } })).json();
  const opened = await page.request.post('/api/conversations', { data: { characterId: character.id }, headers: { origin: aim.url } });
  return `/c/${(await opened.json()).conversation.id}`;
}

signedIn('a picture of a persona is given up while it is sent', async (page) => {
  await page.goto('/settings');
  await page.getByRole('button', { name: 'Add a persona' }).click();
  const dialog = page.getByRole('dialog', { name: 'A new persona' });
  let release = () => {};
  const late = new Promise((done) => (release = done));
  await page.route('**/api/uploads', async (route) => {
    await late;
    await route.continue().catch(() => undefined);
  });
  const sent = page.waitForRequest('**/api/uploads');
  await dialog.locator('[data-picture]').setInputFiles(await drawn(page));
  await sent;
  const cancel = dialog.getByRole('button', { name: 'Cancel the picture' });
  await cancel.focus();
  await pictured(page, 'persona-picture-coming');
  await page.keyboard.press('Enter');
  await cancel.waitFor({ state: 'detached' });
  release();
  await page.waitForFunction(() => document.activeElement?.textContent === 'Choose a picture');
  assert.equal(await dialog.locator('.avatar img').count(), 0);
});

signedIn('another persona is seen by others with the next message, and by oneself once the connection is back', async (page, { context, open }) => {
  const chat = await talk(page);
  const headers = { origin: aim.url };
  const at = `/api/conversations/${chat.split('/').at(-1)}`;
  const persona = async (name) => (await (await page.request.post('/api/users/me/personas', { data: { name }, headers })).json()).persona.id;
  const play = async (personaId) => {
    const answer = await page.request.put(`${at}/persona`, { data: { personaId }, headers });
    assert.equal(answer.status(), 200, await answer.text());
  };
  const [rook, wren] = [await persona('Captain Rook'), await persona('Wren')];
  await play(rook);
  const { invite } = await (await page.request.post(`${at}/invites`, { data: { expiresIn: 3_600 }, headers })).json();
  const guest = await open();
  await register(guest.page);
  const came = await guest.page.request.post(`/api/invites/${invite.token ?? invite.url.split('/').at(-1)}`, { headers });
  assert.equal(came.status(), 200, await came.text());
  await page.goto(chat);
  await say(page, 'Is she out there?');
  await guest.page.goto(chat);
  await guest.page.locator('.said__name', { hasText: 'Captain Rook' }).first().waitFor();
  await play(wren);
  await say(page, 'I see a light.');
  await guest.page.locator('.said__name', { hasText: 'Wren' }).first().waitFor();
  assert.equal(await guest.page.locator('.said__name', { hasText: 'Captain Rook' }).count(), 0);

  await page.getByRole('button', { name: 'Speaking as Captain Rook' }).waitFor();
  await context.setOffline(true);
  await page.getByText('You are offline.').waitFor();
  await context.setOffline(false);
  await page.getByRole('button', { name: 'Speaking as Wren' }).waitFor();
});

for (const [where, settings] of [
  ['desk', {}],
  ['phone', { ...PHONE, colorScheme: 'dark' }],
]) {
  signedIn(`a persona is made, played, changed for another and deleted on a ${where}`, async (page) => {
    await page.goto('/settings');
    await page.getByRole('button', { name: 'Add a persona' }).click();
    const dialog = page.getByRole('dialog', { name: 'A new persona' });
    await dialog.getByLabel('Name').fill('Captain Rook');
    await dialog.getByLabel('Who you are').fill('Lost a ship, and looks for it.');
    await dialog.locator('[data-picture]').setInputFiles(await drawn(page));
    await dialog.getByRole('button', { name: 'Choose another' }).waitFor();
    await assertAccessible(page, 'the dialog');
    await pictured(page, `persona-dialog-${where}`);
    await dialog.getByRole('button', { name: 'Save persona' }).click();
    await dialog.waitFor({ state: 'hidden' });
    const standing = page.getByRole('button', { name: 'Default: Captain Rook' });
    assert.equal(await standing.getAttribute('aria-pressed'), 'true', 'the first is the default unless one says no');
    await page.getByRole('button', { name: 'Add a persona' }).click();
    await dialog.getByLabel('Name').fill('Wren');
    await dialog.getByRole('button', { name: 'Save persona' }).click();
    await page.getByRole('button', { name: 'Edit Wren' }).click();
    await page.getByRole('dialog', { name: 'Edit Wren' }).getByLabel('Name').fill('Wren the Smith');
    await page.getByRole('button', { name: 'Save persona' }).click();
    await page.getByRole('button', { name: 'Default: Wren the Smith' }).waitFor();
    await page.getByRole('heading', { name: 'Personas' }).scrollIntoViewIfNeeded();
    await assertAccessible(page, 'the settings');
    await assertFits(page, 'the settings');
    await pictured(page, `personas-${where}`);

    const chat = await talk(page);
    await page.goto(chat);
    await page.locator('.log').getByText('Ahoy, Captain Rook.').waitFor();
    await say(page, 'Is she out there?');
    const line = page.locator('.said__speaker');
    await page.locator('[data-message][data-role="user"] .said__speaker', { hasText: 'Captain Rook' }).waitFor();
    await page.waitForFunction(() => document.querySelector('.said__speaker img')?.naturalWidth > 0);
    await assertAccessible(page, 'the chat');
    await assertFits(page, 'the chat');
    await pictured(page, `speaking-${where}`);
    await page.getByRole('button', { name: 'Speaking as Captain Rook' }).click();
    const choice = page.getByRole('dialog', { name: 'Speaking as' });
    await choice.getByRole('radio', { name: 'Wren the Smith' }).check();
    await line.filter({ hasText: 'Wren the Smith' }).first().waitFor();
    await assertAccessible(page, 'the choice');
    await pictured(page, `speaking-choice-${where}`);
    await page.keyboard.press('Escape');
    await choice.waitFor({ state: 'hidden' });
    await page.getByRole('button', { name: 'Speaking as Wren the Smith' }).waitFor();
    await page.reload();
    await line.filter({ hasText: 'Wren the Smith' }).first().waitFor();

    await page.getByRole('button', { name: 'Speaking as Wren the Smith' }).click();
    await page.getByRole('link', { name: 'Your personas' }).click();
    await page.getByRole('button', { name: 'Delete Wren the Smith' }).click();
    await page.getByRole('dialog', { name: 'Delete Wren the Smith?' }).getByRole('button', { name: 'Delete persona' }).click();
    await page.getByText('Wren the Smith').first().waitFor({ state: 'hidden' });
    await page.goto(chat);
    await page.getByRole('button', { name: 'Speaking as Captain Rook' }).waitFor();
  }, settings);
}
