// Pictures and audio on the page, in a real browser: attached, sent, shown, and in reach of the keyboard.
import assert from 'node:assert/strict';
import { meet, quiet, stored } from './chromium.mjs';
import { drawn, product } from './harness.mjs';

const { signedIn } = product();

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

signedIn('a picture is attached, sent with its words, and shown in its room', async (page) => {
  const conversation = await meet(page);
  const picked = await drawn(page, { name: 'harbour.png', square: 'orange', width: 800, height: 500 });
  await page.locator('[data-attach]').setInputFiles(picked);
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
});

signedIn('audio is attached and can be played; what is neither is refused before it is sent', async (page) => {
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
});
