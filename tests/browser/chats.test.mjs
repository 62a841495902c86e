// What people of SillyTavern do every day: they put a reply in other words, and bring their chats along.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { assertShownAsStored, CHARACTER, finger, meet, quiet, say, stored } from './chromium.mjs';
import { assertAccessible, assertFits, assertWcag, PHONE, pictured, product } from './harness.mjs';

const { model, signedIn } = product();

const editor = (page) => page.getByRole('textbox', { name: 'The reply' });
const edit = (page) => page.getByRole('button', { name: 'Edit the reply' });

signedIn('a reply is put in other words by keyboard, on every screen, and its variants stay', async (page, { username, elsewhere }) => {
  const conversation = await meet(page);
  assert.equal(await edit(page).count(), 0, 'a greeting answers nothing');
  await say(page, 'Are you afraid of the storm?');
  await quiet(page, 2);
  await edit(page).waitFor();
  const there = await elsewhere(username);
  await there.page.goto(`/c/${conversation}`);
  await there.page.locator('[data-seq="3"]').waitFor();
  const calls = model.calls.length;

  // Escape keeps what was, and the focus is where it was.
  await edit(page).focus();
  await page.keyboard.press('Enter');
  await editor(page).waitFor();
  assert.equal(await editor(page).inputValue(), (await stored(page, conversation)).at(-1).text);
  await assertAccessible(page, 'the editor of a reply');
  await pictured(page, 'reply-editor-desk');
  await page.keyboard.type('Away with it. ');
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => document.activeElement?.getAttribute('aria-label') === 'Edit the reply');
  assert.equal(await page.getByText('Away with it.').count(), 0);

  await page.keyboard.press('Enter');
  await editor(page).fill('Only of the *quiet* after it.');
  await page.keyboard.press('Enter');
  await page.locator('[data-seq="3"] em', { hasText: 'quiet' }).waitFor();
  await page.waitForFunction(() => document.activeElement?.getAttribute('aria-label') === 'Edit the reply');
  await there.page.locator('[data-seq="3"] em', { hasText: 'quiet' }).waitFor();
  assert.equal(model.calls.length, calls, 'no model is asked');
  await assertShownAsStored(page, conversation);

  // Another variant, and the one that was edited is as it was left.
  model.plan = { ...model.plan, chunks: 6 };
  await page.getByRole('button', { name: 'Another variant' }).click();
  await page.getByText('2/2', { exact: true }).waitFor();
  await edit(page).click();
  await editor(page).fill('The second, in other words.');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.locator('[data-seq="3"]').getByText('The second, in other words.').waitFor();
  await page.getByRole('button', { name: 'Previous variant' }).click();
  await page.locator('[data-seq="3"] em', { hasText: 'quiet' }).waitFor();
  await page.reload();
  await page.locator('[data-seq="3"] em', { hasText: 'quiet' }).waitFor();
});

signedIn('on a phone a reply is put in other words', async (page) => {
  const conversation = await meet(page);
  await say(page, 'Where are we?');
  await quiet(page, 2);
  await edit(page).tap();
  await editor(page).fill('At home.');
  await assertFits(page, 'the editor of a reply');
  await pictured(page, 'reply-editor-phone');
  await page.getByRole('button', { name: 'Save' }).tap();
  await page.locator('[data-seq="3"]').getByText('At home.').waitFor();
  await assertFits(page, 'a conversation');
  await pictured(page, 'reply-edited-phone');
  assert.equal((await stored(page, conversation)).at(-1).text, 'At home.');
}, PHONE);

for (const [where, settings] of [['desk', {}], ['phone', { ...PHONE, viewport: { width: 390, height: 844 } }]]) {
  signedIn(`what another screen made of a reply is told in its editor, on a ${where}`, async (page, { username, elsewhere }) => {
    const conversation = await meet(page);
    await say(page, 'Who keeps the lamp?');
    await quiet(page, 2);
    model.plan = { ...model.plan, says: 'Nobody keeps it. It burns by *itself*.' };
    await page.getByRole('button', { name: 'Another variant' }).click();
    await page.getByText('2/2', { exact: true }).waitFor();
    const there = await elsewhere(username);
    await there.page.goto(`/c/${conversation}`);
    await there.page.getByText('2/2', { exact: true }).waitFor();
    const last = async () => (await stored(page, conversation)).at(-1);
    const told = page.getByText('This reply was changed meanwhile.');
    const shows = page.getByRole('group', { name: 'What it says now' });

    // Another variant is chosen there.
    await edit(page).click();
    await editor(page).fill('I keep it, of course.');
    assert.equal(await told.count(), 0);
    await there.page.getByRole('button', { name: 'Previous variant' }).click();
    await told.waitFor();
    await editor(page).press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Show it', 'it is not saved by the way');
    const first = await last();
    assert.equal(first.variants.selected, 0);
    await pictured(page, `reply-changed-${where}`);
    await page.keyboard.press('Enter');
    await shows.getByText(first.text.slice(0, 20).trim()).waitFor();
    await assertAccessible(page, 'the editor of a reply that was changed');
    await assertFits(page, 'the editor of a reply that was changed');
    await pictured(page, `reply-changed-shown-${where}`);
    await page.getByRole('button', { name: 'Save mine anyway' }).click();
    await page.locator('[data-seq="3"]').getByText('I keep it, of course.').waitFor();
    await there.page.locator('[data-seq="3"]').getByText('I keep it, of course.').waitFor();
    assert.deepEqual([(await last()).text, (await last()).variants.selected], ['I keep it, of course.', 1]);
    await there.page.getByRole('button', { name: 'Previous variant' }).click();
    await page.getByText('1/2', { exact: true }).waitFor();
    assert.equal((await last()).text, first.text, 'what was chosen meanwhile is as it was');

    // It is put in other words there, and stays so.
    await edit(page).click();
    await editor(page).fill('Mine.');
    await edit(there.page).click();
    await editor(there.page).fill('The keeper’s daughter does.');
    await there.page.getByRole('button', { name: 'Save' }).click();
    await told.waitFor();
    await page.getByRole('button', { name: 'Keep it' }).click();
    await page.locator('[data-seq="3"]').getByText('The keeper’s daughter does.').waitFor();

    // It is answered anew there: the editor is back with its text once that is done.
    await edit(page).click();
    await editor(page).fill('Still mine.');
    await there.page.getByRole('button', { name: 'Regenerate' }).click();
    await there.page.getByText('3/3', { exact: true }).waitFor();
    await told.waitFor();
    assert.equal(await editor(page).inputValue(), 'Still mine.');
    model.plan = { ...model.plan, says: undefined };
  }, settings);
}

const NAMES = { user_name: 'Ann', character_name: 'Mara', create_date: '2024-1-5@14h03m22s' };
const SAID = [
  { name: 'Mara', is_user: false, send_date: 'January 5, 2024 2:03pm', mes: 'Ahoy, Ann.' },
  { name: 'Ann', is_user: true, send_date: 'January 5, 2024 2:04pm', mes: 'Where are we?' },
  { name: 'Mara', is_user: false, send_date: 'January 6, 2024 2:05pm', mes: 'Off the reef.', swipe_id: 1, swipes: ['Lost.', 'Off the reef.'] },
  { name: 'Note', is_user: false, is_system: true, mes: 'A remark', extra: { type: 'comment' } },
];
const chat = (...lines) => ({
  name: 'Mara - 2024-1-5.jsonl', mimeType: 'application/octet-stream', buffer: Buffer.from(lines.map((line) => JSON.stringify(line)).join('\n')),
});

async function opens(page) {
  await page.getByRole('link', { name: CHARACTER, exact: true }).first().click();
  await page.getByRole('button', { name: 'Import a chat' }).click();
  return page.getByRole('dialog', { name: `Import a chat with ${CHARACTER}` });
}

async function assertImported(page) {
  const done = page.getByRole('dialog', { name: 'The chat is here' });
  await done.getByText('3 messages came. 1 line without anything said was left out.').waitFor();
  await pictured(page, `chat-imported-${page.viewportSize().width}`);
  await page.keyboard.press('Enter');
  await page.waitForURL('**/c/*');
  await page.locator('[data-seq="3"]').getByText('Off the reef.').waitFor();
  await page.getByText('2/2', { exact: true }).waitFor();
  await page.locator('.day', { hasText: /2024/ }).first().waitFor();
  return new URL(page.url()).pathname.split('/').at(-1);
}

/** Nothing is offered that would be refused, whatever one does. */
async function assertNothingNew(page, act) {
  await page.getByRole('button', { name: 'Edit the reply' }).waitFor();
  for (const name of ['Regenerate', 'Another variant', 'Continue', 'Edit']) {
    assert.equal(await page.locator('.log').getByRole('button', { name, exact: true }).count(), 0, name);
  }
  const asked = [];
  const note = (request) => request.method() === 'POST' && /regenerate|continue/.test(request.url()) && asked.push(request.url());
  page.on('request', note);
  await page.keyboard.press('ArrowRight');
  await act();
  page.off('request', note);
  assert.deepEqual(asked, []);
}

/** The variants of the last reply are those that it came with. */
async function assertAsItCame(page, swipe = async () => {}) {
  const last = page.locator('[data-seq="3"]');
  await last.getByText('2/2', { exact: true }).waitFor();
  await assertNothingNew(page, async () => {
    await last.getByRole('button', { name: 'Next variant' }).click({ force: true });
    await swipe(260, 90);
    await last.getByRole('button', { name: 'Previous variant' }).click();
    await last.getByText('1/2', { exact: true }).waitFor();
    await page.keyboard.press('ArrowRight');
    await last.getByText('2/2', { exact: true }).waitFor();
  });
}

signedIn('a chat is imported, goes on, and is saved as a file', async (page) => {
  const dialog = await opens(page);
  await assertWcag(page, 'the dialog of an import');
  await pictured(page, 'chat-import-desk');
  const file = page.locator('input[data-import-chat]');
  // What is wrong is told, and another file may follow.
  await file.setInputFiles(chat(NAMES, SAID[0], { name: 'Ann' }));
  await dialog.getByText(/Line 3 is no message/).waitFor();
  await file.setInputFiles(chat(NAMES, ...SAID));
  const conversation = await assertImported(page);
  await assertShownAsStored(page, conversation);
  await assertAsItCame(page);
  // A branch within it is of the same kind.
  await page.locator('[data-seq="3"]').getByRole('button', { name: /^Branch/ }).click();
  await page.waitForURL((url) => url.pathname.startsWith('/c/') && !url.pathname.endsWith(conversation));
  await assertNothingNew(page, async () => {
    assert.equal(await page.getByRole('button', { name: 'Next variant' }).count(), 0, 'it has one answer');
  });
  await page.goto(`/c/${conversation}`);
  await say(page, 'And now?');
  await quiet(page, 3);
  await page.getByRole('button', { name: 'Regenerate' }).waitFor();
  await page.getByRole('button', { name: 'Continue', exact: true }).waitFor();

  await page.getByRole('button', { name: 'Conversation menu' }).click();
  await pictured(page, 'chat-menu-desk');
  const saved = page.waitForEvent('download');
  await page.getByRole('menuitem', { name: 'Save as a file' }).click();
  const lines = (await readFile(await (await saved).path(), 'utf8')).trim().split('\n').map((line) => JSON.parse(line));
  assert.equal(lines.length, 6);
  assert.deepEqual(lines.map(({ mes }) => mes).slice(1, 5), ['Ahoy, Ann.', 'Where are we?', 'Off the reef.', 'And now?']);
});

for (const [where, settings] of [['desk', {}], ['phone', { ...PHONE, viewport: { width: 390, height: 844 } }]]) {
  signedIn(`the focus stays with the choice of a file when one is refused, on a ${where}`, async (page) => {
    const dialog = await opens(page);
    const choose = dialog.getByRole('button', { name: 'Choose a file' });
    let file;
    page.on('filechooser', (chooser) => chooser.setFiles(file));
    const chosen = async (next) => {
      file = next;
      await page.keyboard.press('Enter');
    };
    await choose.focus();
    for (const line of [3, 4]) {
      await chosen(chat(NAMES, ...SAID.slice(0, line - 2), { name: 'Ann' }));
      await dialog.getByRole('alert').getByText(`Line ${line} is no message`).waitFor();
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Choose a file');
    }
    await assertWcag(page, 'an import that was refused');
    await pictured(page, `chat-import-refused-${where}`);
    await chosen(chat(NAMES, ...SAID));
    await assertImported(page);
  }, settings);
}

signedIn('on a phone a chat is dropped into its dialog', async (page, { context }) => {
  const dialog = await opens(page);
  await assertFits(page, 'the dialog of an import');
  await pictured(page, 'chat-import-phone');
  const { name, buffer } = chat(NAMES, ...SAID);
  const dataTransfer = await page.evaluateHandle(({ called, bytes }) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], called));
    return transfer;
  }, { called: name, bytes: [...buffer] });
  await dialog.locator('.chat-file').dispatchEvent('drop', { dataTransfer });
  await assertImported(page);
  await assertFits(page, 'an imported conversation');
  await assertAsItCame(page, await finger(page, context));
}, PHONE);
