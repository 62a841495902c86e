// A character from a card, on the page: chosen, dropped, looked at, saved, changed, and taken along again.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { drawn, pictured, product, PHONE } from './harness.mjs';

const { signedIn } = product({ answers: 'nobody' });

const CARD = {
  spec: 'chara_card_v2',
  spec_version: '2.0',
  data: {
    name: 'Ines Calder', description: '{{char}} mends clocks.', personality: 'Exact.', scenario: '', mes_example: '',
    first_mes: 'You are late, {{user}}.', creator_notes: 'Be on time.', system_prompt: '', post_history_instructions: '',
    alternate_greetings: ['The clock has stopped, {{user}}.'], tags: ['Clocks', 'Brass'], creator: 'tess',
    character_version: '1', extensions: { unknown: [1, 2] },
    character_book: { extensions: {}, entries: [
      { keys: ['tower'], content: 'The tower clock has no hands.', extensions: {}, enabled: true, insertion_order: 1 },
    ] },
  },
};

/** A picture that the browser draws, with a text in it. */
async function pngCard(page, text) {
  const { buffer: picture } = await drawn(page, { colour: 'darkslateblue', square: 'gold', width: 400, height: 600 });
  const content = Buffer.from(`tEXtchara\0${text}`, 'latin1');
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(content.length - 4);
  sum.writeUInt32BE(crc32(content));
  const end = picture.length - 12;
  return Buffer.concat([picture.subarray(0, end), length, content, sum, picture.subarray(end)]);
}

const base64 = (value) => Buffer.from(JSON.stringify(value)).toString('base64');

signedIn('a card is looked at, saved, changed and exported', async (page) => {
  const buffer = await pngCard(page, base64(CARD));
  await page.getByRole('button', { name: 'Import a card' }).waitFor();
  await page.locator('[data-import]').setInputFiles({ name: 'ines.png', mimeType: 'image/png', buffer });
  const dialog = page.getByRole('dialog', { name: 'Ines Calder' });
  await dialog.getByText('V2 card · by tess · 1 other greeting · 1 lore entry').waitFor();
  await dialog.getByText('clocks', { exact: true }).waitFor();
  assert.ok(await dialog.locator('img').evaluate((image) => image.naturalWidth > 0), 'its picture shows');
  await pictured(page, 'card-preview');
  // Nothing was saved, and the keyboard alone saves it.
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  assert.equal(await page.getByRole('link', { name: 'Ines Calder' }).count(), 0);
  await page.locator('[data-import]').setInputFiles({ name: 'ines.png', mimeType: 'image/png', buffer });
  await dialog.getByRole('button', { name: 'Import' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'Ines Calder' }).waitFor();
  await page.getByRole('heading', { name: 'Notes by tess' }).waitFor();
  await pictured(page, 'card-sheet', { fullPage: true });

  await page.getByRole('link', { name: 'Edit' }).click();
  await page.getByRole('button', { name: '3. Greetings and examples' }).click();
  await page.getByRole('textbox', { name: 'Other greeting 1' }).fill('Tick, {{user}}.');
  await page.getByRole('button', { name: '5. Lore book' }).click();
  await page.getByRole('button', { name: 'Add an entry' }).click();
  const entry = page.getByRole('group', { name: 'Entry 2' });
  await entry.getByLabel('Keys').fill('spring, key');
  await entry.getByLabel('What it tells').fill('She keeps the spring in a drawer.');
  await pictured(page, 'card-form', { fullPage: true });
  await page.getByRole('button', { name: 'Save changes' }).click();
  await page.getByText('Other ways it may begin (1)').click();

  const waiting = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Save as a JSON card' }).click();
  const download = await waiting;
  assert.equal(download.suggestedFilename(), 'Ines Calder.json');
  const { data } = JSON.parse(await readFile(await download.path(), 'utf8'));
  assert.deepEqual([data.alternate_greetings, data.tags, data.extensions], [
    ['Tick, {{user}}.'], ['Clocks', 'Brass'], { unknown: [1, 2] },
  ]);
  assert.deepEqual(data.character_book.entries.map((one) => one.keys), [['tower'], ['spring', 'key']]);

  await page.getByRole('button', { name: 'Begin like this' }).click();
  await page.waitForURL('**/c/*');
  await page.getByText(/^Tick, /).first().waitFor();
});

signedIn('a file that is no card is refused with the reason, on a phone too', async (page) => {
  const buffer = await pngCard(page, 'rcc||secret');
  await page.getByRole('button', { name: 'Import a card' }).waitFor();
  // Dropped on the page.
  const data = await page.evaluateHandle((bytes) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], 'locked.png', { type: 'image/png' }));
    return transfer;
  }, [...buffer]);
  await page.dispatchEvent('main', 'drop', { dataTransfer: data });
  const dialog = page.getByRole('dialog', { name: 'This cannot be imported' });
  await dialog.getByText(/encrypted for RisuAI/).waitFor();
  assert.equal(await dialog.getByRole('button', { name: 'Import' }).count(), 0);
  const box = await dialog.boundingBox();
  assert.ok(box.x >= 0 && box.x + box.width <= 390, 'it fits on the screen');
  await pictured(page, 'card-refused');
  await dialog.getByText('Close', { exact: true }).click();
  await dialog.waitFor({ state: 'hidden' });
}, PHONE);
