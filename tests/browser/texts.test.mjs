// Texts as models and people write them: too long for the line, wider than the page.
import assert from 'node:assert/strict';
import { meet, quiet, say } from './chromium.mjs';
import { assertFits, pictured, product, PHONE } from './harness.mjs';

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
