// What slips: files dropped beside their place, messages too long to be sent, and where one is when a thing is gone.
import assert from 'node:assert/strict';
import { meet, quiet, say } from './chromium.mjs';
import { assertAccessible, drawn, pictured, product } from './harness.mjs';

const { model, signedIn } = product();

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

/** Drops files there; answers what the page left to the browser, which would open them. */
async function drop(page, where, files) {
  const given = files.map(({ name, mimeType, buffer }) => ({ name, type: mimeType, bytes: [...buffer] }));
  return page.locator(where).first().evaluate((target, all) => {
    const dataTransfer = new DataTransfer();
    for (const { name, type, bytes } of all) dataTransfer.items.add(new File([new Uint8Array(bytes)], name, { type }));
    return ['dragover', 'drop'].filter((kind) =>
      target.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer })),
    );
  }, given);
}

const NOTES = { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('notes') };

signedIn('a file that is dropped beside its place is not opened in the place of the page', async (page) => {
  await page.goto('/settings');
  await page.getByRole('heading', { level: 1, name: 'Settings' }).waitFor();
  assert.deepEqual(await drop(page, 'main', [NOTES]), []);
  assert.deepEqual(await drop(page, '.sidebar', [NOTES]), []);
  // Text that is dragged into a field goes there as ever.
  const isLeft = await page.locator('input').first().evaluate((field) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.setData('text/plain', 'words');
    return field.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer }));
  });
  assert.ok(isLeft);
});

signedIn('a picture that is dropped on what was said is attached', async (page) => {
  await meet(page);
  assert.deepEqual(await drop(page, '.transcript__scroll', [await drawn(page, { name: 'map.png' })]), []);
  await page.locator('.attachment', { hasText: 'map.png' }).getByText('Ready to send').waitFor();
  assert.deepEqual(await drop(page, '.chat__head', [NOTES]), []);
  await page.getByText('Only pictures and audio can be attached.').waitFor();
});

signedIn('what is no picture is told of beside the pictures of a character', async (page) => {
  const headers = { origin: new URL(page.url()).origin };
  const answer = await page.request.post('/api/characters', { data: { name: 'Odell Pike', visibility: 'private' }, headers });
  await page.goto(`/characters/${(await answer.json()).character.id}`);
  await page.getByRole('button', { name: 'Add pictures' }).waitFor();
  const card = { name: 'card.json', mimeType: 'application/json', buffer: Buffer.from('{}') };
  const picture = await drawn(page, { name: 'map.png' });
  assert.deepEqual(await drop(page, 'main', [NOTES, picture, card]), []);
  await page.locator('.gallery__coming li', { hasText: 'notes.txt' }).getByText('This is no picture.', { exact: true }).waitFor();
  await page.locator('.gallery__coming li', { hasText: 'card.json' }).getByText('Cards are imported').waitFor();
  await page.locator('.gallery__item').waitFor();
  await pictured(page, 'slips-gallery');
});

signedIn('a message that is too long says so', async (page) => {
  await meet(page);
  await page.getByRole('textbox', { name: /^Message to/ }).fill('a'.repeat(8_500));
  await page.getByRole('status').filter({ hasText: 'This is too long to be sent: a message has 8,000 characters at the most.' }).waitFor();
  await pictured(page, 'slips-too-long');
  await page.getByRole('textbox', { name: /^Message to/ }).fill('a'.repeat(8_000));
  await page.getByText('This is too long').waitFor({ state: 'detached' });
});

signedIn('on a phone a title is written in the whole of the line, and who waits is read', async (page) => {
  await meet(page);
  await page.getByRole('button', { name: 'Conversation menu' }).tap();
  await page.getByRole('menuitem', { name: 'Rename' }).tap();
  const field = page.getByRole('textbox', { name: 'Title of the conversation' });
  const { width } = await field.boundingBox();
  assert.ok(width > 200, `${width} pixels`);
  await pictured(page, 'slips-renaming');
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Conversation menu' }).waitFor();
  model.plan = { ...model.plan, steps: true };
  for (const text of ['One', 'Two', 'Three']) await say(page, text);
  const words = page.locator('.composer__words');
  await words.filter({ hasText: /is typing · 2 waiting/ }).waitFor();
  assert.ok(await words.evaluate((one) => one.scrollWidth <= one.clientWidth));
  const [text, left] = await page.evaluate(() => {
    const range = document.createRange();
    range.selectNodeContents(document.querySelector('.composer__words'));
    return [range.getBoundingClientRect().right, document.querySelector('.composer__usage').getBoundingClientRect().left];
  });
  assert.ok(text <= left, `the words end at ${text}, what is left begins at ${left}`);
  await pictured(page, 'slips-waiting');
  model.release();
  await quiet(page, 4);
}, PHONE);

signedIn('links in one’s own words are read in the light', async (page) => {
  await meet(page);
  await say(page, 'See https://example.test/ there.');
  await quiet(page, 2);
  await page.emulateMedia({ colorScheme: 'light' });
  await assertAccessible(page, 'a link of one’s own');
});

signedIn('who deleted a chat or an exchange is told, and is not left at the start of the page', async (page) => {
  await meet(page);
  await say(page, 'One');
  await quiet(page, 2);
  await page.locator('.said--mine').getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('button', { name: 'Delete both' }).click();
  await page.getByRole('status').filter({ hasText: 'A message and its reply were deleted.' }).waitFor({ state: 'attached' });
  // Come straight here, where no page had the focus before.
  await page.reload();
  await page.locator('.log').waitFor();
  await page.getByRole('button', { name: 'Conversation menu' }).click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await page.getByText('Deleted.').waitFor();
  await page.waitForFunction(() => document.activeElement?.matches('h1'));
  for (let n = 0; n < 4 && !(await page.evaluate(() => document.activeElement?.textContent === 'Undo')); n += 1)
    await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Undo');
});
