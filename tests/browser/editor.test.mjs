// A character written in six steps: kept as one goes, on other devices too, with errors where they belong.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { requireProduct, startAim } from './aim.mjs';
import { launchChromium, openPage, PASSWORD, register } from './chromium.mjs';

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

const STEPS = ['Basics', 'Personality', 'Greetings and examples', 'Instructions', 'Lore book', 'Review'];
const PHONE = { viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true };

const pictured = async (page, name) => {
  const folder = process.env.AIM_SCREENSHOTS;
  if (folder) await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
};

const at = (page, step) => page.getByRole('heading', { level: 2, name: STEPS[step - 1], exact: true }).waitFor();
const goTo = async (page, step) => {
  await page.getByRole('button', { name: `${step}. ${STEPS[step - 1]}` }).click();
  await at(page, step);
};
/** Waits until a step was kept with this text in it. */
const kept = (page, text) => page.waitForResponse((answer) => (
  answer.url().includes('/api/drafts/') && answer.request().method() === 'PUT' && answer.request().postData().includes(text)
));

async function elsewhere(username, settings) {
  const there = await openPage(browser, aim.url, settings);
  await there.page.goto('/login');
  await there.page.getByLabel('Email or username').fill(username);
  await there.page.getByLabel('Password').fill(PASSWORD);
  await there.page.getByRole('button', { name: 'Log in' }).click();
  await there.page.waitForURL('**/characters');
  return there;
}

async function check(page, place) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  assert.deepEqual(serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`), [], place);
}

test('a form goes on at its step after a reload and on another device, and the other is told', { timeout: 240_000 }, async () => {
  const { page, close } = await openPage(browser, aim.url);
  try {
    const username = await register(page);
    await page.goto('/characters/new');
    await page.getByLabel('Name', { exact: true }).fill('Tilda Crane');
    // Enter goes on, as a form does.
    await page.keyboard.press('Enter');
    await at(page, 2);
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Personality', 'the focus follows');
    await page.getByLabel('Description').fill('Keeps the lamp.');
    await page.getByRole('button', { name: 'Next' }).click();
    await at(page, 3);
    await goTo(page, 4);
    const saved = kept(page, 'Speak in rhyme');
    await page.getByLabel('System prompt').fill('Speak in rhyme.');
    await saved;
    await page.reload();
    await page.getByText('You go on where you left this form.').waitFor();
    await at(page, 4);
    await page.getByText('Step 4 of 6').waitFor();
    assert.equal(await page.getByLabel('System prompt').inputValue(), 'Speak in rhyme.');
    await pictured(page, 'editor-desk-instructions');

    const phone = await elsewhere(username, PHONE);
    await phone.page.goto('/characters/new');
    await at(phone.page, 4);
    assert.equal(await phone.page.getByLabel('System prompt').inputValue(), 'Speak in rhyme.');
    await pictured(phone.page, 'editor-phone-instructions');
    const changed = kept(phone.page, 'Speak in prose');
    await phone.page.getByLabel('System prompt').fill('Speak in prose.');
    await changed;
    const told = page.getByText('Another device changed this form');
    await told.waitFor();
    assert.equal(await page.getByLabel('System prompt').inputValue(), 'Speak in rhyme.', 'nothing is taken away while one types');
    await pictured(page, 'editor-desk-elsewhere');
    await page.getByRole('button', { name: 'Show the other version' }).click();
    await told.waitFor({ state: 'hidden' });
    assert.equal(await page.getByLabel('System prompt').inputValue(), 'Speak in prose.');

    // The last save wins, now from here.
    const again = kept(page, 'Speak in verse');
    await page.getByLabel('System prompt').fill('Speak in verse.');
    await again;
    await phone.page.getByText('Another device changed this form').waitFor();
    await phone.page.getByRole('button', { name: 'Stay with this one' }).click();

    await goTo(page, 6);
    await page.getByText('Keeps the lamp.').waitFor();
    await pictured(page, 'editor-desk-review');
    await page.getByRole('button', { name: 'Create character' }).click();
    await page.getByRole('heading', { level: 1, name: 'Tilda Crane' }).waitFor();
    await phone.page.getByText('This form was finished or given up on another device.').waitFor();
    const id = new URL(page.url()).pathname.split('/').at(-1);
    const { character } = await (await page.request.get(`/api/characters/${id}`)).json();
    assert.deepEqual([character.description, character.systemPrompt], ['Keeps the lamp.', 'Speak in verse.']);
    await phone.close();
  } finally {
    await close();
  }
});

test('errors stand at their step, before the server is asked and after', { timeout: 240_000 }, async () => {
  const { page, close } = await openPage(browser, aim.url);
  try {
    await register(page);
    await page.goto('/characters/new');
    await page.getByRole('button', { name: 'Next' }).click();
    await page.getByText('A character needs a name.').waitFor();
    await at(page, 1);
    await goTo(page, 6);
    await page.getByRole('button', { name: 'Create character' }).click();
    await at(page, 1);
    await page.getByRole('button', { name: '1. Basics (needs a look)' }).waitFor();
    await page.getByLabel('Name', { exact: true }).fill('Ines');
    await page.getByText('A character needs a name.').waitFor({ state: 'hidden' });
    await page.getByLabel('Address of the picture').fill('ftp://nowhere');
    await goTo(page, 6);
    await page.getByRole('button', { name: 'Create character' }).click();
    await at(page, 1);
    await page.getByText(/^The picture’s address must/).waitFor();
    await page.getByLabel('Address of the picture').fill('');
    await goTo(page, 6);
    await page.getByRole('button', { name: 'Change basics' }).click();
    await at(page, 1);

    // A picture of one's own, drawn by the browser.
    const drawn = Buffer.from(await page.evaluate(async () => {
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [300, 300];
      const context = canvas.getContext('2d');
      context.fillStyle = 'teal';
      context.fillRect(0, 0, 300, 300);
      const blob = await new Promise((done) => canvas.toBlob(done, 'image/png'));
      return [...new Uint8Array(await blob.arrayBuffer())];
    }));
    await page.locator('[data-picture]').setInputFiles({ name: 'ines.png', mimeType: 'image/png', buffer: drawn });
    await page.getByRole('button', { name: 'Choose another' }).waitFor();
    assert.match(await page.getByLabel('Address of the picture').inputValue(), /^\/media\/[\w-]+\/thumb$/);
    await goTo(page, 6);
    await page.getByRole('button', { name: 'Create character' }).click();
    await page.getByRole('heading', { level: 1, name: 'Ines' }).waitFor();

    // Changing it is the same form, saved from any step.
    await page.getByRole('link', { name: 'Edit' }).click();
    await at(page, 1);
    await goTo(page, 5);
    await page.getByRole('button', { name: 'Add an entry' }).click();
    await page.getByLabel('Keys').fill('tower');
    await page.getByLabel('What it tells').fill('It has no hands.');
    await pictured(page, 'editor-desk-lore');
    await page.getByRole('button', { name: 'Save changes' }).click();
    await page.getByRole('heading', { level: 1, name: 'Ines' }).waitFor();
    const id = new URL(page.url()).pathname.split('/').at(-1);
    const { character } = await (await page.request.get(`/api/characters/${id}`)).json();
    assert.deepEqual(character.lorebook.entries.map(({ keys }) => keys), [['tower']]);
  } finally {
    await close();
  }
});

for (const [where, settings] of [['a desk', { colorScheme: 'dark' }], ['a phone', { ...PHONE, colorScheme: 'light' }]]) {
  test(`every step is fit for everybody on ${where}`, { timeout: 240_000 }, async () => {
    const { page, close } = await openPage(browser, aim.url, settings);
    try {
      await register(page);
      await page.goto('/characters/new');
      await page.getByLabel('Name', { exact: true }).fill('Mara');
      for (let step = 1; step <= 6; step += 1) {
        await goTo(page, step);
        await check(page, `step ${step}`);
        await pictured(page, `editor-${settings.isMobile ? 'phone' : 'dark'}-${step}`);
        const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        assert.ok(over <= 0, `step ${step} is ${over} pixels too wide`);
        const small = await page.locator('main .button:visible, main .icon-button:visible, main .input:visible, main .steps__one:visible')
          .evaluateAll((all) => all.filter((one) => one.getBoundingClientRect().height < 44).map((one) => one.outerHTML));
        assert.deepEqual(small, [], `step ${step} has targets too small for a finger`);
      }
    } finally {
      await close();
    }
  });
}
