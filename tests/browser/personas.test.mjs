// Personas on the page: made in the settings, chosen in a chat, seen on what one says.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { requireProduct, startAim } from './aim.mjs';
import { launchChromium, openPage, register, say } from './chromium.mjs';

let browser;
let aim;
let axe;

before(async () => {
  requireProduct({ answers: false });
  axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  // Pictures are processed; no model answers.
  aim = await startAim({ AIM_AI__PROVIDER: 'openai', AIM_AI__BASE_URL: 'http://127.0.0.1:9/v1', AIM_AI__MODEL: 'none' });
  browser = await launchChromium();
});

after(async () => {
  await browser?.close();
  await aim?.stop();
});

const pictured = async (page, name) => {
  const folder = process.env.AIM_SCREENSHOTS;
  if (folder) await page.screenshot({ path: `${folder}/${name}.png` });
};

async function check(page, place) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  assert.deepEqual(serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`), [], place);
}

const fits = async (page, place) => {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(over <= 0, `${place} is ${over} pixels too wide`);
};

async function picture(page, colour) {
  return Buffer.from(await page.evaluate(async (fill) => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [200, 200];
    const context = canvas.getContext('2d');
    context.fillStyle = fill;
    context.fillRect(0, 0, 200, 200);
    const blob = await new Promise((done) => canvas.toBlob(done, 'image/png'));
    return [...new Uint8Array(await blob.arrayBuffer())];
  }, colour));
}

/** A chat with a character of one's own that greets one by name; its address. */
async function talk(page) {
  const draft = { name: 'Mara', greeting: 'Ahoy, {{user}}.' };
  const { character } = await (await page.request.post('/api/characters', { data: draft, headers: { origin: aim.url } })).json();
  const opened = await page.request.post('/api/conversations', { data: { characterId: character.id }, headers: { origin: aim.url } });
  return `/c/${(await opened.json()).conversation.id}`;
}

for (const [where, settings] of [
  ['desk', {}],
  ['phone', { viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true, colorScheme: 'dark' }],
]) {
  test(`a persona is made, played, changed for another and deleted on a ${where}`, { timeout: 240_000 }, async () => {
    const { page, close } = await openPage(browser, aim.url, settings);
    try {
      await register(page);
      await page.goto('/settings');
      await page.getByRole('button', { name: 'Add a persona' }).click();
      const dialog = page.getByRole('dialog', { name: 'A new persona' });
      await dialog.getByLabel('Name').fill('Captain Rook');
      await dialog.getByLabel('Who you are').fill('Lost a ship, and looks for it.');
      await dialog.locator('[data-picture]').setInputFiles({ name: 'rook.png', mimeType: 'image/png', buffer: await picture(page, 'teal') });
      await dialog.getByRole('button', { name: 'Choose another' }).waitFor();
      await check(page, 'the dialog');
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
      await check(page, 'the settings');
      await fits(page, 'the settings');
      await pictured(page, `personas-${where}`);

      const chat = await talk(page);
      await page.goto(chat);
      await page.locator('.log').getByText('Ahoy, Captain Rook.').waitFor();
      await say(page, 'Is she out there?');
      const line = page.locator('.said__speaker');
      await page.locator('[data-message][data-role="user"] .said__speaker', { hasText: 'Captain Rook' }).waitFor();
      await page.waitForFunction(() => document.querySelector('.said__speaker img')?.naturalWidth > 0);
      await check(page, 'the chat');
      await fits(page, 'the chat');
      await pictured(page, `speaking-${where}`);
      await page.getByRole('button', { name: 'Speaking as Captain Rook' }).click();
      const choice = page.getByRole('dialog', { name: 'Speaking as' });
      await choice.getByRole('radio', { name: 'Wren the Smith' }).check();
      await line.filter({ hasText: 'Wren the Smith' }).first().waitFor();
      await check(page, 'the choice');
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
    } finally {
      await close();
    }
  });
}
