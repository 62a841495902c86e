// A lore book on the page: every rule of an entry is changed there, and what the page does not know stays.
import assert from 'node:assert/strict';
import { assertAccessible, assertFits, PHONE, pictured, product } from './harness.mjs';

const { signedIn } = product({ answers: 'nobody' });

/** As SillyTavern writes it. */
const THEIRS = {
  display_index: 0, position: 0, exclude_recursion: false, prevent_recursion: false, delay_until_recursion: false, selectiveLogic: 0,
  probability: 100, useProbability: true, case_sensitive: null, match_whole_words: null, scan_depth: null, group: 'sea', vectorized: false, x_odd: { a: [1.5] },
};
const CARD = {
  spec: 'chara_card_v3', spec_version: '3.0', data: { name: 'Ines Calder', character_book: { name: 'The coast', x_book: 1, extensions: {}, entries: [
    { keys: ['C++', '/re{2,}f, so/i'], secondary_keys: ['ship'], selective: true, content: 'The reef took four ships.', comment: 'Reefs', enabled: true, insertion_order: 7, use_regex: true, id: 3, x_entry: 'kept', extensions: THEIRS },
    { keys: ['rock'], content: 'A rock.', extensions: {}, enabled: true, insertion_order: 1 },
  ] } },
};

async function edited(page) {
  const form = { file: { name: 'ines.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(CARD)) } };
  const origin = new URL(page.url()).origin;
  const made = await page.request.post('/api/characters/import', { multipart: form, headers: { origin } });
  assert.equal(made.status(), 201, await made.text());
  const { character } = await made.json();
  await page.goto(`/characters/${character.id}/edit`);
  await page.getByRole('button', { name: '5. Lore book' }).click();
  await page.getByRole('heading', { level: 2, name: 'Lore book' }).waitFor();
  return character.id;
}

async function saved(page) {
  await page.getByRole('button', { name: 'Save changes' }).click();
  await page.waitForURL((url) => !url.pathname.endsWith('/edit'));
  await page.getByRole('heading', { level: 1, name: 'Ines Calder', exact: true }).waitFor();
}

const exported = async (page, id) => (await (await page.request.get(`/api/characters/${id}/export?format=json`)).json()).data.character_book;

signedIn('the rules of an entry are changed, and what the page does not know stays as it came', async (page) => {
  const id = await edited(page);
  const entry = page.getByRole('group', { name: 'Entry 1: Reefs' });
  const keys = entry.getByLabel('Keys');
  assert.equal(await keys.inputValue(), 'C++, /re{2,}f, so/i');
  await keys.fill('C++, /re{2,}f, so/i, /(/');
  await entry.getByText('“/(/” is no regular expression.').waitFor();
  await keys.fill('C++, /re{2,}f, so/i, rock');

  // The keyboard alone opens the rules.
  await entry.getByText('When and where it is told').focus();
  await page.keyboard.press('Enter');
  await entry.getByLabel('Name', { exact: true }).fill('Reefs and rocks');
  await entry.getByLabel('Further words').fill('ship, /storm, or/');
  await entry.getByLabel('How they count').selectOption('None of them may be said');
  await entry.getByLabel('Where it stands').selectOption('Among the messages');
  await entry.getByLabel('Messages after it').fill('2');
  await entry.getByLabel('Order').fill('-3');
  await entry.getByLabel('Priority').fill('9');
  await entry.getByLabel('Messages looked through').fill('6');
  await entry.getByLabel('Chance, in percent').fill('50');
  await entry.getByLabel('Capital letters count').check();
  await entry.getByLabel('Whole words only').check();
  await entry.getByLabel('Calls for no others').check();
  assert.equal(await entry.getByLabel('All are regular expressions').count(), 0, 'SillyTavern’s flag says nothing');
  const book = page.getByRole('group', { name: 'The whole book' });
  await book.getByLabel('Messages looked through by all').fill('8');
  await book.getByLabel('Tokens it may take').fill('300');
  await book.getByLabel('Entries may call for other entries').check();
  await pictured(page, 'lore-desk', { fullPage: true });
  await assertAccessible(page);
  await saved(page);

  const { entries: [first, second], ...whole } = await exported(page, id);
  assert.deepEqual(whole, { name: 'The coast', x_book: 1, extensions: {}, scan_depth: 8, token_budget: 300, recursive_scanning: true });
  assert.deepEqual(second, CARD.data.character_book.entries[1]);
  const { extensions, ...fields } = first;
  assert.deepEqual(fields, {
    keys: ['C++', '/re{2,}f, so/i', 'rock'], secondary_keys: ['ship', '/storm, or/'], selective: true, content: 'The reef took four ships.', comment: 'Reefs',
    name: 'Reefs and rocks', enabled: true, insertion_order: -3, priority: 9, use_regex: true, case_sensitive: true, constant: false, position: 'after_char', id: 3, x_entry: 'kept',
  });
  assert.deepEqual(extensions, {
    ...THEIRS, selectiveLogic: 2, position: 4, depth: 2, scan_depth: 6, probability: 50, case_sensitive: true, match_whole_words: true, prevent_recursion: true,
  });

  // It is there again, and goes back.
  await page.goto(`/characters/${id}/edit`);
  await page.getByRole('button', { name: '5. Lore book' }).click();
  const again = page.getByRole('group', { name: 'Entry 1: Reefs and rocks' });
  await again.getByText('When and where it is told').click();
  assert.equal(await again.getByLabel('How they count').inputValue(), 'none');
  assert.equal(await again.getByLabel('Messages after it').inputValue(), '2');
  await again.getByLabel('Messages looked through').fill('');
  await again.getByLabel('Where it stands').selectOption('Before the description');
  await saved(page);
  const back = (await exported(page, id)).entries[0];
  assert.deepEqual([back.position, back.extensions.position, 'scan_depth' in back.extensions], ['before_char', 0, false]);
});

signedIn('a book is written on a phone', async (page) => {
  await edited(page);
  await page.getByRole('button', { name: 'Add an entry' }).click();
  const entry = page.getByRole('group', { name: 'Entry 3' });
  await entry.getByLabel('Keys').fill('gull');
  await entry.getByLabel('What it tells').fill('Gulls never lie.');
  await entry.getByText('When and where it is told').click();
  await entry.getByLabel('All are regular expressions').check();
  await entry.getByLabel('Keys').fill('gull(');
  await entry.getByText('“gull(” is no regular expression.').waitFor();
  await entry.getByLabel('Keys').fill('gulls?');
  await assertFits(page);
  await assertAccessible(page);
  await pictured(page, 'lore-phone', { fullPage: true });
  await saved(page);
  const id = new URL(page.url()).pathname.split('/').at(-1);
  const { entries } = await exported(page, id);
  const { keys, use_regex: bare, content } = entries[2];
  assert.deepEqual([keys, bare, content, entries.length], [['gulls?'], true, 'Gulls never lie.', 3]);
}, PHONE);
