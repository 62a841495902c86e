// Changing what was said last, in a real browser: variants by button, key and finger, and asking in other words.
import assert from 'node:assert/strict';
import { assertShownAsStored, finger, meet, quiet, say, stored } from './chromium.mjs';
import { PHONE, pictured, product } from './harness.mjs';

const { model, signedIn } = product();

const group = (page) => page.getByRole('group', { name: 'Variants of this reply' });

async function shows(page, count) {
  await group(page).getByText(count, { exact: true }).waitFor({ timeout: 120_000 });
  await page.waitForFunction(() => document.querySelector('.bubble--streaming, .bubble--typing') === null);
}

signedIn('a reply is answered anew, paged through by button and key, and a reload keeps the choice', async (page) => {
  const conversation = await meet(page);
  assert.equal(await group(page).count(), 0, 'a greeting answers nothing');
  await say(page, 'Are you afraid of the storm?');
  await quiet(page, 2);
  await shows(page, '1/1');
  const [, , first] = await assertShownAsStored(page, conversation);

  // In other words than before.
  model.plan = { ...model.plan, chunks: 6 };
  await page.getByRole('button', { name: 'Another variant' }).click();
  await page.locator('.bubble--typing, [data-streaming]').first().waitFor();
  await shows(page, '2/2');
  const [, , second] = await assertShownAsStored(page, conversation);
  assert.notEqual(second.text, first.text);
  assert.deepEqual([second.id, second.seq, second.variants], [first.id, first.seq, { count: 2, selected: 1 }]);

  await page.getByRole('button', { name: 'Previous variant' }).click();
  await shows(page, '1/2');
  assert.equal((await stored(page, conversation)).at(-1).text, first.text);
  // In an empty message the arrows page; in a written one they move in it.
  const box = page.getByRole('textbox', { name: /^Message to/ });
  await box.focus();
  await page.keyboard.press('ArrowRight');
  await shows(page, '2/2');
  await box.fill('ab');
  await page.keyboard.press('ArrowLeft');
  await box.fill('');
  await page.keyboard.press('ArrowLeft');
  await shows(page, '1/2');
  await page.reload();
  await shows(page, '1/2');
  await assertShownAsStored(page, conversation);

  await say(page, 'And now?');
  await quiet(page, 3);
  assert.equal(await group(page).count(), 1, 'only the last reply can be changed');
  await shows(page, '1/1');
});

signedIn('on a phone a reply is swiped, and one’s message is asked in other words', async (page, { context }) => {
  const conversation = await meet(page);
  await say(page, 'Where are we?');
  await quiet(page, 2);
  await shows(page, '1/1');
  const swipe = await finger(page, context);
  await swipe(260, 90);
  await shows(page, '2/2');
  await swipe(90, 260);
  await shows(page, '1/2');
  const width = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(width <= 0, 'nothing sticks out');

  await page.getByRole('button', { name: 'Edit', exact: true }).click();
  await page.getByRole('textbox', { name: 'Your message' }).fill('Where is the parrot?');
  await page.getByRole('button', { name: 'Send again' }).click();
  await shows(page, '3/3');
  const kept = await assertShownAsStored(page, conversation);
  assert.deepEqual(kept.map(({ seq }) => seq), [1, 2, 3]);
  assert.equal(kept[1].text, 'Where is the parrot?');
}, { viewport: { width: 390, height: 800 }, hasTouch: true, isMobile: true });

signedIn('a reply is continued in its place, and each of its answers by itself', async (page) => {
  const conversation = await meet(page);
  model.plan = { ...model.plan, says: 'The lamp is lit, and the sea' };
  await say(page, 'Tell me of the night.');
  await quiet(page, 2);
  await shows(page, '1/1');
  model.plan = { ...model.plan, says: ' is calm until the morning.' };
  await page.getByRole('button', { name: 'Continue', exact: true }).click();
  const whole = 'The lamp is lit, and the sea is calm until the morning.';
  await page.locator('[data-message]').getByText(whole).waitFor();
  await shows(page, '1/1');
  await pictured(page, 'continued-desk');
  const after = await assertShownAsStored(page, conversation);
  assert.deepEqual([after.length, after.at(-1).text, after.at(-1).variants], [3, whole, undefined], 'it is no other answer');

  // Another answer goes on alone: the first one stays as it is.
  model.plan = { ...model.plan, says: 'It was dark' };
  await page.getByRole('button', { name: 'Another variant' }).click();
  await shows(page, '2/2');
  model.plan = { ...model.plan, says: ', and then it was not.' };
  await page.getByRole('button', { name: 'Continue', exact: true }).click();
  await page.locator('[data-message]').getByText('It was dark, and then it was not.').waitFor();
  await shows(page, '2/2');
  await page.getByRole('button', { name: 'Previous variant' }).click();
  await shows(page, '1/2');
  await page.locator('[data-message]').getByText(whole).waitFor();

  // One that does not come leaves what was, and says so.
  model.plan = { ...model.plan, says: undefined, fail: 500 };
  await page.getByRole('button', { name: 'Continue', exact: true }).click();
  await page.locator('.said__trouble').first().waitFor({ timeout: 120_000 });
  assert.equal((await stored(page, conversation)).at(-1).text, whole);
  await page.setViewportSize(PHONE.viewport);
  await pictured(page, 'continued-phone');
  const width = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(width <= 0, 'nothing sticks out');
  model.plan = { ...model.plan, fail: undefined };
});

signedIn('what was typed into an open editor is not lost when another tab deletes the exchange', async (page, { context }) => {
  await meet(page);
  await say(page, 'Are you afraid of the storm?');
  await quiet(page, 2);
  const there = await context.newPage();
  await there.goto(page.url());
  await there.getByRole('button', { name: 'Edit the reply' }).click();
  await there.getByRole('textbox', { name: 'The reply' }).fill('Never of the storm.');
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await page.getByRole('button', { name: 'Delete both' }).click();
  await there.getByText('What you were changing was deleted in another place.').waitFor();
  await pictured(there, 'edit-lost');
  const box = there.getByRole('textbox', { name: /^Message to/ });
  assert.equal(await box.inputValue(), 'Never of the storm.');
  await there.getByRole('button', { name: 'Take it out' }).click();
  await there.waitForFunction(() => document.querySelector('.composer__text').value === '');
});
