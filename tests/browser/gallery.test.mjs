// A character's pictures, in a real browser: added, labelled, looked at, and shown beside the conversation by its mood.
import assert from 'node:assert/strict';
import { say } from './chromium.mjs';
import { assertAccessible, drawn, pictured, product } from './harness.mjs';

const { aim, model, signedIn } = product();

/** A character of one's own, on its sheet. */
async function sheet(page, name) {
  const made = await page.request.post('/api/characters', {
    data: { name, greeting: 'Good evening.' },
    headers: { origin: aim.url },
  });
  assert.equal(made.status(), 201);
  const { character } = await made.json();
  await page.goto(`/characters/${character.id}`);
  await page.getByRole('button', { name: 'Add pictures' }).waitFor();
  return character.id;
}

/** Nothing stands in the way of those who do not see the page, or do not use a pointer. */
async function sound(page, name) {
  await pictured(page, `gallery-${name}`);
  await assertAccessible(page, name);
}

const tiles = (page) => page.locator('.gallery__item');

async function add(page, files) {
  const before = await tiles(page).count();
  await page.locator('[data-gallery]').setInputFiles(files);
  await page.waitForFunction((count) => document.querySelectorAll('.gallery__item').length === count, before + files.length);
  await page.locator('.gallery__coming').waitFor({ state: 'detached' });
}

async function label(page, n, { caption, expression }) {
  await tiles(page).nth(n).getByRole('button', { name: /^Change/ }).click();
  const dialog = page.getByRole('dialog', { name: 'Change the picture' });
  if (caption) await dialog.getByLabel('Caption').fill(caption);
  if (expression) await dialog.getByLabel('Expression').fill(expression);
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'detached' });
}

signedIn('pictures are added, labelled, ordered, looked at and deleted', async (page) => {
  const id = await sheet(page, 'Ines Calder');
  await add(page, [await drawn(page, { name: 'one.png', colour: 'teal', height: 400 }), await drawn(page, { name: 'two.png', colour: 'orange', height: 400 })]);
  await label(page, 0, { caption: 'At the harbour' });
  // What is dropped comes too.
  const dropped = await drawn(page, { name: 'three.png', colour: 'purple', height: 400 });
  await page.evaluate(({ name, bytes }) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(bytes)], name, { type: 'image/png' }));
    document.body.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: data }));
  }, { name: dropped.name, bytes: [...dropped.buffer] });
  await page.waitForFunction(() => document.querySelectorAll('.gallery__item').length === 3);

  await tiles(page).nth(0).getByRole('button', { name: 'Look at: At the harbour' }).click();
  const box = page.getByRole('dialog', { name: 'Pictures of Ines Calder' });
  await box.getByText('Picture 1 of 3').waitFor();
  await sound(page, 'lightbox');
  await page.keyboard.press('ArrowLeft');
  await box.getByText('Picture 3 of 3').waitFor();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  await box.getByText('Picture 2 of 3').waitFor();
  await page.keyboard.press('Escape');
  await box.waitFor({ state: 'detached' });
  const focused = await page.evaluate(() => document.activeElement?.getAttribute('aria-label'));
  assert.equal(focused, 'Look at: At the harbour', 'the focus is back where it was');

  const first = await tiles(page).nth(0).getAttribute('data-picture');
  await tiles(page).nth(0).getByRole('button', { name: /^Change/ }).click();
  const dialog = page.getByRole('dialog', { name: 'Change the picture' });
  await sound(page, 'edit');
  await dialog.getByRole('button', { name: 'Later' }).click();
  await dialog.getByText('It is picture 2 now.').waitFor();
  await dialog.getByRole('button', { name: 'Use as portrait' }).click();
  await dialog.getByText('portrait now').waitFor();
  await dialog.getByRole('button', { name: 'Close' }).last().click();
  await dialog.waitFor({ state: 'detached' });
  assert.equal(await tiles(page).nth(1).getAttribute('data-picture'), first);
  assert.ok((await page.locator('.sheet__head .avatar img').getAttribute('src')).includes(first));

  await tiles(page).nth(0).getByRole('button', { name: /^Change/ }).click();
  await dialog.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('button', { name: 'Delete for good' }).click();
  await page.waitForFunction(() => document.querySelectorAll('.gallery__item').length === 2);
  // The focus is not lost: it is there with the next frame.
  await page.waitForFunction(() => document.activeElement?.textContent === ' Add pictures');
  await sound(page, 'sheet');
  const shown = await tiles(page).evaluateAll((rows) => rows.map((row) => row.dataset.picture));
  const stored = (await (await page.request.get(`/api/characters/${id}/gallery`)).json()).items;
  assert.deepEqual(stored.map((item) => item.id), shown);
});

signedIn('a picture on its way is given up, and the next one comes', async (page) => {
  await sheet(page, 'Tilda Crane');
  let [release, calls] = [() => {}, 0];
  const late = new Promise((done) => (release = done));
  await page.route('**/api/uploads', async (route) => {
    calls += 1;
    if (calls === 1) await late;
    await route.continue().catch(() => undefined);
  });
  const files = [];
  for (const name of ['one.png', 'two.png']) files.push(await drawn(page, { name, height: 400 }));
  const sent = page.waitForRequest('**/api/uploads');
  await page.locator('[data-gallery]').setInputFiles(files);
  await sent;
  const cancel = page.getByRole('button', { name: 'Cancel one.png' });
  await page.getByRole('button', { name: 'Cancel two.png' }).waitFor();
  await sound(page, 'coming');
  await cancel.focus();
  await page.keyboard.press('Enter');
  await tiles(page).first().waitFor();
  await page.locator('.gallery__coming').waitFor({ state: 'detached' });
  release();
  assert.equal(await tiles(page).count(), 1);
  await page.waitForFunction(() => document.activeElement?.closest('main') != null);
});

for (const [device, viewport] of [['desk', { width: 1400, height: 850 }], ['phone', { width: 390, height: 844 }]]) {
  signedIn(`the face of the last reply's mood is shown (${device})`, async (page) => {
    await sheet(page, 'Mara Quill');
    await add(page, [await drawn(page, { name: 'calm.png', colour: 'steelblue', height: 400 }), await drawn(page, { name: 'joy.png', colour: 'gold', height: 400 }), await drawn(page, { name: 'mad.png', colour: 'crimson', height: 400 })]);
    await label(page, 0, { expression: 'neutral' });
    await label(page, 1, { expression: 'joy' });
    await label(page, 2, { expression: 'annoyance' });
    await sound(page, `sheet-${device}`);
    const ids = await tiles(page).evaluateAll((rows) => rows.map((row) => row.dataset.picture));
    await page.getByRole('button', { name: 'Talk with Mara Quill' }).click();
    await page.waitForURL('**/c/*');
    const face = async (n) => {
      await page.waitForFunction((id) => document.querySelector('.chat__who .avatar img')?.src.includes(id), ids[n]);
      if (device === 'desk') {
        await page.waitForFunction((id) => [...document.querySelectorAll('.face__layer')].at(-1)?.src.includes(id), ids[n]);
        await page.waitForFunction(() => document.querySelectorAll('.face__layer').length === 1);
      }
    };
    await face(0);
    model.plan = { ...model.plan, says: 'Oh, wonderful! I am so happy, this is delightful! *laughs*' };
    await say(page, 'We won.');
    await face(1);
    assert.equal(await page.locator('.face').isVisible(), device === 'desk');
    if (device === 'desk') await page.getByRole('img', { name: 'Mara Quill, happy' }).waitFor();
    model.plan = { ...model.plan, says: 'I am furious! I hate this! *growls angrily*' };
    await say(page, 'We lost.');
    await face(2);
    await sound(page, `chat-${device}`);
    await page.reload();
    await face(2);
  }, { viewport });
}
