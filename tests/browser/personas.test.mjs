// Personas on the page: made in the settings, chosen in a chat, seen on what one says.
import assert from 'node:assert/strict';
import { say } from './chromium.mjs';
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
