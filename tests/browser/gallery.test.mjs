// A character's pictures, in a real browser: added, labelled, looked at, and shown beside the conversation by its mood.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { requireProduct, startAim } from './aim.mjs';
import { launchChromium, openPage, register, say } from './chromium.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let browser;
let aim;
let model;
/** What the model says next. */
let reply = 'Well.';

before(async () => {
  requireProduct({ answers: false });
  model = createServer(async (request, response) => {
    for await (const part of request) void part;
    if (request.method === 'GET') {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ object: 'list', data: [{ id: 'stub', object: 'model' }] }));
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const piece = (choice) => response.write(`data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', model: 'stub', choices: [{ index: 0, ...choice }] })}\n\n`);
    piece({ delta: { role: 'assistant', content: reply }, finish_reason: null });
    piece({ delta: {}, finish_reason: 'stop' });
    response.end('data: [DONE]\n\n');
  });
  model.listen(0, '127.0.0.1');
  await once(model, 'listening');
  aim = await startAim({
    AIM_AI__PROVIDER: 'openai',
    AIM_AI__BASE_URL: `http://127.0.0.1:${model.address().port}/v1`,
    AIM_AI__MODEL: 'stub',
  });
  browser = await launchChromium();
});

after(async () => {
  await browser?.close();
  await aim?.stop();
  model?.close();
  model?.closeAllConnections();
});

/** A picture in one colour that the browser draws. */
async function drawn(page, name, colour, [width, height] = [300, 400]) {
  const bytes = await page.evaluate(async ({ colour, width, height }) => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext('2d');
    context.fillStyle = colour;
    context.fillRect(0, 0, width, height);
    const blob = await new Promise((done) => canvas.toBlob(done, 'image/png'));
    return [...new Uint8Array(await blob.arrayBuffer())];
  }, { colour, width, height });
  return { name, mimeType: 'image/png', buffer: Buffer.from(bytes) };
}

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

/** Where pictures go for people to look at, if anywhere. */
async function pictured(page, name) {
  const folder = process.env.AIM_SCREENSHOTS;
  if (folder) await page.screenshot({ path: `${folder}/gallery-${name}.png` });
}

/** Nothing stands in the way of those who do not see the page, or do not use a pointer. */
async function sound(page, name) {
  await pictured(page, name);
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  assert.deepEqual(serious.map(({ id, nodes }) => [id, nodes.map(({ html }) => html.slice(0, 160))]), [], name);
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

test('pictures are added, labelled, ordered, looked at and deleted', { timeout: 240_000 }, async () => {
  const { page, close } = await openPage(browser, aim.url);
  try {
    await register(page);
    const id = await sheet(page, 'Ines Calder');
    await add(page, [await drawn(page, 'one.png', 'teal'), await drawn(page, 'two.png', 'orange')]);
    await label(page, 0, { caption: 'At the harbour' });
    // What is dropped comes too.
    const dropped = await drawn(page, 'three.png', 'purple');
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
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), ' Add pictures', 'the focus is not lost');
    await sound(page, 'sheet');
    const shown = await tiles(page).evaluateAll((rows) => rows.map((row) => row.dataset.picture));
    const stored = (await (await page.request.get(`/api/characters/${id}/gallery`)).json()).items;
    assert.deepEqual(stored.map((item) => item.id), shown);
  } finally {
    await close();
  }
});

for (const [device, viewport] of [['desk', { width: 1400, height: 850 }], ['phone', { width: 390, height: 844 }]]) {
  test(`the face of the last reply's mood is shown (${device})`, { timeout: 240_000 }, async () => {
    const { page, close } = await openPage(browser, aim.url, { viewport });
    try {
      await register(page);
      await sheet(page, 'Mara Quill');
      await add(page, [await drawn(page, 'calm.png', 'steelblue'), await drawn(page, 'joy.png', 'gold'), await drawn(page, 'mad.png', 'crimson')]);
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
      reply = 'Oh, wonderful! I am so happy, this is delightful! *laughs*';
      await say(page, 'We won.');
      await face(1);
      assert.equal(await page.locator('.face').isVisible(), device === 'desk');
      if (device === 'desk') await page.getByRole('img', { name: 'Mara Quill, happy' }).waitFor();
      reply = 'I am furious! I hate this! *growls angrily*';
      await say(page, 'We lost.');
      await face(2);
      await sound(page, `chat-${device}`);
      await page.reload();
      await face(2);
    } finally {
      await close();
    }
  });
}
