// Pictures and audio on the page, in a real browser: attached, sent, shown, and in reach of the keyboard.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { requireProduct, startAim } from './aim.mjs';
import { launchChromium, meet, openPage, quiet, register, stored } from './chromium.mjs';

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

/** A picture that the browser itself draws. */
const drawn = (page) => page.evaluate(async () => {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [800, 500];
  const context = canvas.getContext('2d');
  context.fillStyle = 'teal';
  context.fillRect(0, 0, 800, 500);
  context.fillStyle = 'orange';
  context.fillRect(100, 100, 200, 200);
  const blob = await new Promise((done) => canvas.toBlob(done, 'image/png'));
  return [...new Uint8Array(await blob.arrayBuffer())];
});

/** A second of a tone. */
function wav() {
  const out = Buffer.alloc(44 + 16_000);
  out.write('RIFF', 0);
  out.writeUInt32LE(36 + 16_000, 4);
  out.write('WAVEfmt ', 8);
  for (const [at, value] of [[16, 16], [24, 8_000], [28, 16_000], [40, 16_000]]) out.writeUInt32LE(value, at);
  for (const [at, value] of [[20, 1], [22, 1], [32, 2], [34, 16]]) out.writeUInt16LE(value, at);
  out.write('data', 36);
  for (let n = 0; n < 8_000; n += 1) out.writeInt16LE(Math.round(Math.sin(n / 3) * 9_000), 44 + n * 2);
  return out;
}

test('a picture is attached, sent with its words, and shown in its room', { timeout: 240_000 }, async () => {
  const { page, close } = await openPage(browser, aim.url);
  try {
    await register(page);
    const conversation = await meet(page);
    const buffer = Buffer.from(await drawn(page));
    await page.locator('[data-attach]').setInputFiles({ name: 'harbour.png', mimeType: 'image/png', buffer });
    await page.getByText('Ready to send').waitFor({ timeout: 30_000 });
    await page.getByRole('textbox', { name: /^Message to/ }).fill('Our harbour');
    await page.keyboard.press('Enter');
    const picture = page.locator('[data-message] .picture img');
    await picture.waitFor();
    await page.waitForFunction(() => document.querySelector('.picture img')?.naturalWidth > 0, null, { timeout: 30_000 });
    const box = await picture.boundingBox();
    assert.ok(Math.abs(box.width / box.height - 1.6) < 0.05, `${box.width} by ${box.height}`);
    await quiet(page, 2);
    const message = (await stored(page, conversation)).find((one) => one.type === 'image');
    assert.deepEqual([message.text, message.media.width, message.media.height], ['Our harbour', 800, 500]);
    await page.reload();
    await page.locator('[data-message] .picture img').waitFor();
  } finally {
    await close();
  }
});

test('audio is attached and can be played; what is neither is refused before it is sent', { timeout: 240_000 }, async () => {
  const { page, close } = await openPage(browser, aim.url);
  try {
    await register(page);
    await meet(page);
    await page.getByRole('button', { name: 'Attach a picture or audio' }).waitFor();
    await page.locator('[data-attach]').setInputFiles({ name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('words') });
    await page.getByText('Only pictures and audio can be attached.').waitFor();
    await page.getByRole('button', { name: 'Remove notes.txt' }).click();
    await page.locator('[data-attach]').setInputFiles({ name: 'hello.wav', mimeType: 'audio/wav', buffer: wav() });
    await page.getByText('Ready to send').waitFor({ timeout: 30_000 });
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    const player = page.locator('[data-message] .voice audio');
    await player.waitFor();
    await page.waitForFunction(() => document.querySelector('.voice audio')?.duration > 0.9, null, { timeout: 30_000 });
    assert.ok((await page.locator('.voice__wave rect').count()) > 20);
  } finally {
    await close();
  }
});
