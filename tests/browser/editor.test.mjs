// A character written in six steps: kept as one goes, on other devices too, with errors where they belong.
import assert from 'node:assert/strict';
import { assertAccessible, assertFits, drawn, PHONE, pictured, product } from './harness.mjs';

const { signedIn } = product({ answers: 'nobody' });

const STEPS = ['Basics', 'Personality', 'Greetings and examples', 'Instructions', 'Lore book', 'Review'];

const at = (page, step) => page.getByRole('heading', { level: 2, name: STEPS[step - 1], exact: true }).waitFor();
const goTo = async (page, step) => {
  await page.getByRole('button', { name: `${step}. ${STEPS[step - 1]}` }).click();
  await at(page, step);
};
/** Waits until a step was kept with this text in it. */
const kept = (page, text) => page.waitForResponse((answer) => (
  answer.url().includes('/api/drafts/') && answer.request().method() === 'PUT' && answer.request().postData().includes(text)
));

signedIn('a form goes on at its step after a reload and on another device, and the other is told', async (page, { username, elsewhere }) => {
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
  assert.equal(await page.getByLabel('Messages after it').count(), 0, 'only of a note that says something');
  await page.getByLabel('Note among the messages').fill('Stay by the lamp.');
  await page.getByLabel('Messages after it').fill('2');
  await page.getByLabel('Told as if by').selectOption({ label: 'The user' });
  const saved = kept(page, 'Speak in rhyme');
  await page.getByLabel('System prompt').fill('Speak in rhyme.');
  await saved;
  await page.reload();
  await page.getByText('You go on where you left this form.').waitFor();
  await at(page, 4);
  await page.getByText('Step 4 of 6').waitFor();
  assert.equal(await page.getByLabel('System prompt').inputValue(), 'Speak in rhyme.');
  await pictured(page, 'editor-desk-instructions', { fullPage: true });

  const phone = await elsewhere(username, PHONE);
  await phone.page.goto('/characters/new');
  await at(phone.page, 4);
  assert.equal(await phone.page.getByLabel('System prompt').inputValue(), 'Speak in rhyme.');
  await pictured(phone.page, 'editor-phone-instructions', { fullPage: true });
  const changed = kept(phone.page, 'Speak in prose');
  await phone.page.getByLabel('System prompt').fill('Speak in prose.');
  await changed;
  const told = page.getByText('Another device changed this form');
  await told.waitFor();
  assert.equal(await page.getByLabel('System prompt').inputValue(), 'Speak in rhyme.', 'nothing is taken away while one types');
  await pictured(page, 'editor-desk-elsewhere', { fullPage: true });
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
  await pictured(page, 'editor-desk-review', { fullPage: true });
  await page.getByRole('button', { name: 'Create character' }).click();
  await page.getByRole('heading', { level: 1, name: 'Tilda Crane' }).waitFor();
  await phone.page.getByText('This form was finished or given up on another device.').waitFor();
  const id = new URL(page.url()).pathname.split('/').at(-1);
  const { character } = await (await page.request.get(`/api/characters/${id}`)).json();
  assert.deepEqual([character.description, character.systemPrompt], ['Keeps the lamp.', 'Speak in verse.']);
  assert.deepEqual(character.depthPrompt, { prompt: 'Stay by the lamp.', depth: 2, role: 'user' });
  await phone.close();
});

signedIn('errors stand at their step, before the server is asked and after', async (page, { context }) => {
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
  await page.locator('[data-picture]').setInputFiles(await drawn(page));
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
  await pictured(page, 'editor-desk-lore', { fullPage: true });
  await page.getByRole('button', { name: 'Save changes' }).click();
  await page.waitForURL((url) => !url.pathname.endsWith('/edit'));
  await page.getByRole('heading', { level: 1, name: 'Ines', exact: true }).waitFor();
  const id = new URL(page.url()).pathname.split('/').at(-1);
  const { character } = await (await page.request.get(`/api/characters/${id}`)).json();
  assert.deepEqual(character.lorebook.entries.map(({ keys }) => keys), [['tower']]);
});

signedIn('what was typed last is there after a reload that did not wait for it to be kept', async (page) => {
  await page.goto('/characters/new');
  await page.getByLabel('Name', { exact: true }).waitFor();
  // As if it were closed before any of it came to the server.
  await page.route('**/api/drafts/*', (route) => (route.request().method() === 'PUT' ? route.abort() : route.continue()));
  for (const name of ['Tilda', 'Tilda Crane', 'Tilda Crane of the Lamp']) {
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.reload();
    await page.getByText('You go on where you left this form.').waitFor();
    assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), name);
    assert.equal(await page.getByText('Another device changed this form').count(), 0);
  }
});

/** A character of one's own, made without the page; its id. */
async function made(page, draft) {
  const answer = await page.request.post('/api/characters', { data: draft, headers: { origin: new URL(page.url()).origin } });
  return (await answer.json()).character.id;
}
const put = (page, id, data) => page.request.patch(`/api/characters/${id}`, { data, headers: { origin: new URL(page.url()).origin } });
const asStored = async (page, id) => (await (await page.request.get(`/api/characters/${id}`)).json()).character;

signedIn('saving a kept form leaves alone what was changed elsewhere, and says what it would overwrite', async (page) => {
  const id = await made(page, { name: 'Ines', description: 'A keeper.', greeting: 'Ahoy.' });
  await page.goto(`/characters/${id}/edit`);
  await goTo(page, 2);
  const saved = kept(page, 'The keeper of the lamp');
  await page.getByLabel('Description').fill('The keeper of the lamp.');
  await saved;
  await page.goto(`/characters/${id}`);
  await put(page, id, { avatarUrl: 'https://example.test/ines.png', greeting: 'Welcome.' });
  await page.goto(`/characters/${id}/edit`);
  await page.getByText('You go on where you left this form.').waitFor();
  await page.getByRole('button', { name: 'Save changes' }).click();
  await page.waitForURL(`**/characters/${id}`);
  const { avatarUrl, greeting, description } = await asStored(page, id);
  assert.deepEqual([avatarUrl, greeting, description], ['https://example.test/ines.png', 'Welcome.', 'The keeper of the lamp.']);

  await page.goto(`/characters/${id}/edit`);
  await goTo(page, 2);
  await page.getByLabel('Description').fill('Mine.');
  await page.getByLabel('Scenario').fill('A storm.');
  await put(page, id, { description: 'Theirs.', scenario: 'A calm.' });
  await page.getByRole('button', { name: 'Save changes' }).click();
  await page.getByText('This was changed elsewhere since you began').waitFor();
  assert.equal((await asStored(page, id)).description, 'Theirs.', 'nothing is overwritten before it was told');
  await page.getByText('Description: what it says now').click();
  await page.getByText('Theirs.', { exact: true }).waitFor();
  await assertAccessible(page, 'the conflicts');
  await pictured(page, 'editor-conflicts', { fullPage: true });
  await page.getByRole('button', { name: 'Take that for Scenario' }).click();
  assert.equal(await page.getByLabel('Scenario').inputValue(), 'A calm.');
  await page.getByRole('button', { name: 'Save mine anyway' }).click();
  await page.waitForURL(`**/characters/${id}`);
  const { description: last, scenario } = await asStored(page, id);
  assert.deepEqual([last, scenario], ['Mine.', 'A calm.']);
});

for (const [where, settings] of [['a desk', { colorScheme: 'dark' }], ['a phone', { ...PHONE, colorScheme: 'light' }]]) {
  signedIn(`every step is fit for everybody on ${where}`, async (page) => {
    await page.goto('/characters/new');
    await page.getByLabel('Name', { exact: true }).fill('Mara');
    for (let step = 1; step <= 6; step += 1) {
      await goTo(page, step);
      await assertAccessible(page, `step ${step}`);
      await pictured(page, `editor-${settings.isMobile ? 'phone' : 'dark'}-${step}`, { fullPage: true });
      await assertFits(page, `step ${step}`);
      const small = await page.locator('main .button:visible, main .icon-button:visible, main .input:visible, main .steps__one:visible')
        .evaluateAll((all) => all.filter((one) => one.getBoundingClientRect().height < 44).map((one) => one.outerHTML));
      assert.deepEqual(small, [], `step ${step} has targets too small for a finger`);
    }
  }, settings);
}
