// Texts as models and people write them: too long for the line, full of HTML, from right to left, with macros.
import assert from 'node:assert/strict';
import { meet, quiet, say } from './chromium.mjs';
import { assertAccessible, assertFits, pictured, product, PHONE } from './harness.mjs';

const { model, signedIn } = product();

const DESK = { viewport: { width: 1280, height: 800 } };
const LONG = 'Donaudampfschifffahrtsgesellschaft'.repeat(12);
const LINK = `https://example.test/${'path/'.repeat(60)}?${'q=1&'.repeat(40)}`;
const WIDE = [
  `Words around ${LONG}, [a link](${LINK}) and ${LINK} itself.`,
  `Inline \`${LONG}\` code.`,
  `\`\`\`\n${LONG}\n\`\`\``,
  `> ${LONG}`,
  `- ${LONG}`,
  `| ${'a | '.repeat(30)}\n|${'---|'.repeat(30)}\n| ${'Wednesday | '.repeat(30)}`,
].join('\n\n');

/** What of `within` reaches over the edges of the window, but for what scrolls in a box of its own. */
const outside = (page, within) =>
  page.locator(within).evaluateAll((boxes) =>
    boxes
      .flatMap((box) => [box, ...box.querySelectorAll('*')])
      .filter((one) => !one.parentElement.closest('pre, .markdown__table, .finder__tags, .sr-only'))
      .map((one) => [one, one.getBoundingClientRect()])
      .filter(([, { width, left, right }]) => width > 0 && (left < -1 || right > innerWidth + 1))
      .map(([one, { left, right }]) => `${one.tagName}.${one.className} ${Math.round(left)}–${Math.round(right)}`),
  );

/** A character of one's own, by the API. */
async function write(page, fields) {
  const data = { visibility: 'private', ...fields };
  const answer = await page.request.post('/api/characters', { data, headers: { origin: new URL(page.url()).origin } });
  assert.equal(answer.status(), 201, await answer.text());
  return (await answer.json()).character.id;
}

for (const [device, settings] of Object.entries({ desk: DESK, phone: { ...PHONE, viewport: { width: 390, height: 844 } } })) {
  signedIn(`long words wrap in their bubble, and tables and code scroll within it: ${device}`, async (page) => {
    model.plan = { ...model.plan, says: WIDE };
    await meet(page);
    await say(page, `${LONG} ${LINK}`);
    await quiet(page, 2);
    await say(page, WIDE);
    await quiet(page, 3);
    model.plan = { ...model.plan, says: undefined };
    assert.deepEqual(await outside(page, '.log > *'), []);
    for (const box of ['pre', '.markdown__table']) {
      const [seen, whole] = await page
        .locator(`.said:not(.said--mine) ${box}`)
        .last()
        .evaluate((one) => [one.clientWidth, one.scrollWidth]);
      assert.ok(whole > seen + 50, `${box} scrolls: ${whole} in ${seen}`);
    }
    await assertAccessible(page, 'what scrolls in a bubble');
    await pictured(page, `texts-wide-${device}`);
    await page.emulateMedia({ colorScheme: 'dark' });
    await pictured(page, `texts-wide-${device}-dark`);
    await page.goto('/');
    await page.locator('.chat-list__one:visible').first().waitFor();
    assert.deepEqual(await outside(page, '#root'), []);
    await page.goto('/search?q=Donaudampf');
    await page.locator('.row--link').first().waitFor();
    assert.deepEqual(await outside(page, '#root'), []);
    await pictured(page, `texts-wide-search-${device}`);
  }, settings);

  signedIn(`a character with long words is no wider than the window: ${device}`, async (page) => {
    const long = { personality: `${LONG} ${LINK}`, scenario: WIDE, greeting: WIDE, description: WIDE };
    const id = await write(page, { name: LONG.slice(0, 60), tags: [LONG.slice(0, 30), 'other'], ...long });
    await page.goto('/characters');
    await page.locator('.card').first().waitFor();
    assert.deepEqual(await outside(page, 'main'), []);
    await page.goto(`/characters/${id}`);
    await page.locator('.sheet__greeting').first().waitFor();
    assert.deepEqual(await outside(page, 'main'), []);
    await assertFits(page, 'the sheet');
    await pictured(page, `texts-sheet-${device}`);
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('dialog').waitFor();
    assert.deepEqual(await outside(page, 'dialog'), []);
    await pictured(page, `texts-dialog-${device}`);
  }, settings);
}

const HTML = [
  '<div style="color: red"><center><h2>The **lighthouse**</h2></center></div>',
  '<!-- not for people --><style>body { display: none }</style><script>document.title = "run"</script>',
  '<b>Hold</b> the <i>rope</i>,<br>now&nbsp;&amp; <span class="x">then</span>. a < b, <3 and <unknown word',
  '<img src="https://pictures.test/a.png" onerror="document.title = \'run\'" alt="A view"> <a href="https://elsewhere.test/">out</a>',
  '<a href="javascript:document.title = 1">press</a> `<b>code</b>`',
].join('\n');

signedIn('HTML is read as what it means, and nothing of it runs or loads', async (page, { context }) => {
  const asked = [];
  context.on('request', (request) => asked.push(request.url()));
  model.plan = { ...model.plan, says: HTML };
  await meet(page);
  await say(page, 'Well?');
  await quiet(page, 2);
  model.plan = { ...model.plan, says: undefined };
  const said = page.locator('[data-message][data-role="character"] .markdown').last();
  const words = await said.evaluate((one) => one.innerText.replace(/\s+/g, ' '));
  assert.equal(
    words.trim(),
    'The lighthouse Hold the rope, now & then. a < b, <3 and <unknown word A view out press <b>code</b>',
  );
  assert.equal(await said.locator('strong', { hasText: 'Hold' }).count(), 1);
  assert.deepEqual(
    await said.locator('a').evaluateAll((links) => links.map((link) => [link.textContent, link.href, link.rel])),
    [
      ['A view', 'https://pictures.test/a.png', 'noopener noreferrer nofollow'],
      ['out', 'https://elsewhere.test/', 'noopener noreferrer nofollow'],
    ],
  );
  assert.equal(await said.locator('img, style, script, [style], [onerror], [class="x"]').count(), 0);
  assert.notEqual(await page.title(), 'run');
  await page.locator('.chat-list__last', { hasText: 'The lighthouse Hold the rope, now & then. a < b' }).first().waitFor();
  assert.deepEqual(asked.filter((url) => /pictures|elsewhere/.test(url)), []);
  await pictured(page, 'texts-html');
  await page.setViewportSize({ width: 390, height: 844 });
  await page.emulateMedia({ colorScheme: 'dark' });
  await pictured(page, 'texts-html-phone-dark');
});

signedIn('what is written from right to left runs so, beside what does not', async (page) => {
  const arabic = 'مرحبا Mara، كيف الحال؟';
  const hebrew = 'שלום (Mara), מה שלומך?';
  const id = await write(page, { name: 'سارة Vale', greeting: `${arabic}\n\nHello.\n\n- ${hebrew}`, description: hebrew });
  const direction = (locator) => locator.evaluate((one) => getComputedStyle(one).direction);
  await page.goto('/characters');
  const card = page.locator('.card', { hasText: 'سارة' });
  assert.equal(await direction(card.locator('.card__text')), 'rtl');
  await pictured(page, 'texts-rtl-cards');
  await page.goto(`/characters/${id}`);
  const heading = page.getByRole('heading', { level: 1 });
  await heading.waitFor();
  assert.equal(await direction(heading), 'rtl');
  await pictured(page, 'texts-rtl-sheet');
  await page.getByRole('button', { name: /^Talk with/ }).click();
  await page.locator('.log .markdown').first().waitFor();
  const directions = async (part) => page.locator(`.log .markdown ${part}`).evaluateAll((all) => all.map((one) => getComputedStyle(one).direction));
  assert.deepEqual(await directions('> p'), ['rtl', 'ltr']);
  assert.deepEqual(await directions('li'), ['rtl']);
  const box = page.getByRole('textbox', { name: /^Message to/ });
  await box.fill(hebrew);
  assert.equal(await direction(box), 'rtl');
  await box.fill('Hello');
  assert.equal(await direction(box), 'ltr');
  await say(page, hebrew);
  await quiet(page, 2);
  assert.equal(await direction(page.locator('.said--mine .markdown > p').first()), 'rtl');
  assert.equal(await direction(page.locator('.chat__name')), 'rtl');
  await pictured(page, 'texts-rtl-chat');
  await page.setViewportSize({ width: 390, height: 844 });
  await page.emulateMedia({ colorScheme: 'dark' });
  await pictured(page, 'texts-rtl-chat-phone-dark');
});

signedIn('macros and marks are nowhere to be seen: in lists, search and before an import', async (page, { username }) => {
  const description = '{{char}} waits for {{user}} at the **lighthouse** of **Quillhaven**, by the *sea*.';
  const told = `Odell Pike waits for ${username} at the lighthouse of Quillhaven, by the sea.`;
  await write(page, { name: 'Odell Pike', description });
  await page.goto('/characters');
  await page.locator('.card__text', { hasText: told }).waitFor();
  await page.goto('/search?q=quillhaven');
  await page.locator('.row__line', { hasText: told }).waitFor();
  assert.deepEqual(await page.locator('mark').allTextContents(), ['Quillhaven']);
  await pictured(page, 'texts-search');

  await page.goto('/characters');
  const greeting = 'Look, {{user}}:\n\n```\n{{char}}.log\n```\n\n<div>So <b>it</b> is.</div>';
  const data = {
    name: 'Odell Pike', description, personality: '', scenario: '', first_mes: greeting, mes_example: '', creator_notes: '',
    system_prompt: '', post_history_instructions: '', alternate_greetings: [], tags: [], creator: '', character_version: '1',
    extensions: {},
  };
  const buffer = Buffer.from(JSON.stringify({ spec: 'chara_card_v2', spec_version: '2.0', data }));
  await page.getByRole('button', { name: 'Import a card' }).waitFor();
  await page.locator('[data-import]').setInputFiles({ name: 'odell.json', mimeType: 'application/json', buffer });
  const dialog = page.getByRole('dialog', { name: 'Odell Pike' });
  await dialog.locator('dd').first().waitFor();
  await pictured(page, 'texts-import');
  await dialog.locator('dd', { hasText: told }).waitFor({ timeout: 5_000 });
  const shown = await dialog.locator('.import__texts').innerText();
  assert.doesNotMatch(shown, /`|\{\{|<div>|\*/);
  assert.equal(await dialog.locator('dd pre').count(), 1);
  assert.equal(await dialog.locator('dd p').count(), 3);
});

signedIn('two chats with one character are told apart among what was found', async (page) => {
  for (const title of ['The first voyage', 'The second voyage']) {
    await meet(page);
    await page.getByRole('button', { name: 'Conversation menu' }).click();
    if (title !== 'The first voyage') {
      await page.getByRole('menuitem', { name: 'New chat' }).click();
      await page.getByRole('heading', { level: 1, name: 'Captain Mara Vale' }).waitFor();
      await page.getByRole('button', { name: 'Conversation menu' }).click();
    }
    await page.getByRole('menuitem', { name: 'Rename' }).click();
    await page.getByRole('textbox', { name: 'Title of the conversation' }).fill(title);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: title }).waitFor();
    await say(page, 'A zephyranthes blooms.');
    await quiet(page, 2);
  }
  await page.goto('/search?q=zephyranthes');
  await page.locator('.row--link').nth(1).waitFor();
  const names = await page.locator('.row--link a').allTextContents();
  assert.deepEqual(names.sort(), ['To Captain Mara Vale · The first voyage', 'To Captain Mara Vale · The second voyage']);
});
