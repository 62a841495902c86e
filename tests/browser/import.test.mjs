// Cards come onto the page as text that is pasted, as JSON, CHARX or a JPEG with one behind it, and several at once.
import assert from 'node:assert/strict';
import { charx, pngCard } from '../lib/cards.mjs';
import { png } from '../lib/pictures.mjs';
import { assertAccessible, assertFits, drawn, PHONE, pictured, product } from './harness.mjs';

const { signedIn } = product({ answers: 'nobody' });

const card = (name, more = {}) => ({ spec: 'chara_card_v3', spec_version: '3.0', data: { name, description: `${name} mends clocks.`, ...more } });

/** What a browser has in the hand: files that are dropped or pasted, or text. */
const inHand = (page, { files = [], text }) => page.evaluateHandle(({ files: given, text: said }) => {
  const transfer = new DataTransfer();
  for (const { name, type, bytes } of given) transfer.items.add(new File([new Uint8Array(bytes)], name, { type }));
  if (said !== undefined) transfer.setData('text/plain', said);
  return transfer;
}, { files: files.map((file) => ({ ...file, bytes: [...file.bytes] })), text });

async function paste(page, selector, given) {
  const clipboardData = await inHand(page, given);
  await page.evaluate(({ at, data }) => {
    document.querySelector(at).dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
  }, { at: selector, data: clipboardData });
}

async function drop(page, files) {
  await page.dispatchEvent('main', 'drop', { dataTransfer: await inHand(page, { files }) });
}

const ready = (page) => page.getByRole('button', { name: 'Import a card' }).waitFor();

signedIn('a card is pasted as text, and text for a field stays there', async (page) => {
  await ready(page);
  const text = JSON.stringify(card('Ines Calder', { character_book: { entries: [{ keys: ['tower'], content: 'x' }], extensions: {} } }));
  await page.locator('input[type="search"]').first().focus();
  await paste(page, 'input[type="search"]', { text });
  assert.equal(await page.getByRole('dialog').count(), 0);
  await paste(page, 'body', { text: 'Hello' });
  assert.equal(await page.getByRole('dialog').count(), 0);
  await paste(page, 'body', { text });
  const dialog = page.getByRole('dialog', { name: 'Ines Calder' });
  await dialog.getByText('V3 card · 1 lore entry').waitFor();
  await dialog.getByRole('button', { name: 'Import' }).click();
  await page.getByRole('heading', { level: 1, name: 'Ines Calder' }).waitFor();
  // Broken text says where.
  await page.goto('/characters');
  await ready(page);
  await paste(page, 'body', { text: '{"name": "Ines",}' });
  await page.getByRole('dialog', { name: 'This cannot be imported' }).getByText(/not valid JSON: line 1, column 17/).waitFor();
});

signedIn('an archive brings its pictures, alone or behind a JPEG', async (page) => {
  await ready(page);
  const { buffer: face } = await drawn(page, { colour: 'teal', square: 'gold', width: 300, height: 300 });
  const asset = (type, name) => ({ type, uri: `embeded://assets/${name}.png`, name, ext: 'png' });
  const bytes = charx(card('Tilda Crane', { assets: [asset('icon', 'main'), asset('emotion', 'joy'), asset('background', 'room')] }), {
    'assets/main.png': face, 'assets/joy.png': png(90, 60), 'assets/room.png': png(120, 60), 'module.risum': 'o',
  });
  const jpeg = await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(200, 300);
    const context = canvas.getContext('2d');
    context.fillStyle = 'crimson';
    context.fillRect(0, 0, 200, 300);
    const blob = await canvas.convertToBlob({ type: 'image/jpeg' });
    return [...new Uint8Array(await blob.arrayBuffer())];
  });
  const behind = Buffer.concat([Buffer.from(jpeg), charx(card('Odo Marsh'))]);
  for (const [name, file, mimeType, facts, faces] of [
    ['Tilda Crane', bytes, 'application/zip', 'V3 card · 2 more pictures', 2],
    ['Odo Marsh', behind, 'image/jpeg', 'V3 card', 0],
  ]) {
    await page.goto('/characters');
    await ready(page);
    await page.locator('[data-import]').setInputFiles({ name: mimeType === 'image/jpeg' ? 'odo.jpeg' : 'tilda.charx', mimeType, buffer: file });
    const dialog = page.getByRole('dialog', { name });
    await dialog.getByText(facts, { exact: true }).waitFor();
    await dialog.locator('img').waitFor();
    assert.ok(await dialog.locator('img').evaluate((image) => image.naturalWidth > 0), 'its picture shows');
    await dialog.getByRole('button', { name: 'Import' }).click();
    await page.getByRole('heading', { level: 1, name }).waitFor();
    const id = new URL(page.url()).pathname.split('/').at(-1);
    const { items } = await (await page.request.get(`/api/characters/${id}/gallery`)).json();
    assert.equal(items.length, faces);
  }
});

/** Several, one of them none. */
const several = [
  { name: 'ines.png', type: 'image/png', bytes: pngCard(card('Ines Calder', { tags: ['clocks'] })) },
  { name: 'holiday.png', type: 'image/png', bytes: png(60, 60) },
  { name: 'odo.json', type: 'application/json', bytes: Buffer.from(JSON.stringify(card('Odo Marsh', { description: ['none'] }))) },
  { name: 'tilda.json', type: 'application/json', bytes: Buffer.from(JSON.stringify({ name: 'Tilda Crane' })) },
];

async function imports(page) {
  await ready(page);
  await drop(page, several);
  const dialog = page.getByRole('dialog', { name: '4 cards' });
  await dialog.getByRole('button', { name: 'Import 3' }).waitFor();
  const row = (name) => dialog.getByRole('listitem').filter({ hasText: name }).first();
  await row('holiday.png').getByText(/holds no character card/).waitFor();
  await row('Odo Marsh').getByText(/`description` is no text/).waitFor();
  await row('Tilda Crane').getByText('V1 card').waitFor();
  // Left out by the keyboard.
  await row('Tilda Crane').getByRole('checkbox').focus();
  await page.keyboard.press('Space');
  await assertAccessible(page);
  return { dialog, row };
}

signedIn('several cards are looked at together, and what went wrong with one stands with it', async (page) => {
  const { dialog, row } = await imports(page);
  await pictured(page, 'cards-desk');
  await dialog.getByRole('button', { name: 'Import 2' }).click();
  await dialog.getByText('2 imported.').waitFor();
  await row('Ines Calder').getByRole('link', { name: 'Ines Calder' }).waitFor();
  assert.equal(await row('Tilda Crane').getByRole('link').count(), 0);
  await pictured(page, 'cards-desk-imported');
  await dialog.getByText('Close', { exact: true }).click();
  await dialog.waitFor({ state: 'hidden' });
  // The list behind knows them.
  await page.getByRole('link', { name: /Odo Marsh/ }).first().waitFor();
  await page.getByRole('link', { name: /Ines Calder/ }).first().waitFor();
  assert.equal(await page.getByRole('link', { name: /Tilda Crane/ }).count(), 0);
});

signedIn('several cards fit onto a phone', async (page) => {
  const { dialog } = await imports(page);
  await assertFits(page);
  const box = await dialog.boundingBox();
  assert.ok(box.x >= 0 && box.x + box.width <= 390, 'it fits on the screen');
  await pictured(page, 'cards-phone');
}, PHONE);

signedIn('what a greeting will say is shown as it will be said', async (page) => {
  const greeting = 'Ahoy {{user}}, who are {{persona}}{{// hidden}} {{random:same,same}} {{comment: none}}I am <BOT>.';
  const origin = new URL(page.url()).origin;
  const persona = await page.request.post('/api/users/me/personas', { data: { name: 'Robin', description: 'friends of {{char}}', isDefault: true }, headers: { origin } });
  assert.equal(persona.status(), 201, await persona.text());
  const made = await page.request.post('/api/characters', { data: { name: 'Ines', nickname: 'Nes', greeting }, headers: { origin } });
  const { character } = await made.json();
  await page.goto(`/characters/${character.id}`);
  const said = 'Ahoy Robin, who are friends of Nes same I am Nes.';
  await page.getByText(said).waitFor();
  await page.getByRole('button', { name: /^Talk with/ }).click();
  await page.waitForURL('**/c/*');
  await page.getByText(said).first().waitFor();
});
