// Search, favourites, a form that goes on elsewhere, and leaving, in a real browser.
import assert from 'node:assert/strict';
import { CHARACTER, meet, PASSWORD, quiet, register, say, stored } from './chromium.mjs';
import { assertFits, PHONE, pictured, product } from './harness.mjs';

const { aim, signedIn } = product({ env: { AIM_USAGE__MULTIPLIER: '100' } });

signedIn('a message is found as it is typed, and shown in its place', async (page, { username, elsewhere }) => {
  const conversation = await meet(page);
  await say(page, 'The zephyr lanterns are out tonight.');
  await quiet(page, 2);
  await page.keyboard.press('Control+k');
  const box = page.getByRole('searchbox', { name: 'Search characters and messages' });
  await box.waitFor();
  await page.waitForFunction(() => document.activeElement?.getAttribute('type') === 'search');
  await page.keyboard.type('zephyr lant');
  const hit = page.locator('.row mark', { hasText: 'lanterns' });
  await hit.waitFor();
  await pictured(page, 'search-desk');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.waitForURL(`**/c/${conversation}?at=*`);
  await page.locator('.said--found', { hasText: 'zephyr lanterns' }).waitFor();
  await pictured(page, 'found-desk');

  // On a phone, and a character beside it.
  const phone = await elsewhere(username, PHONE);
  await phone.page.getByRole('link', { name: 'Search' }).click();
  await phone.page.waitForURL('**/search**');
  await phone.page.getByRole('searchbox').fill(CHARACTER.slice(0, 4).toLowerCase());
  await phone.page.getByRole('heading', { name: 'Characters' }).waitFor();
  await phone.page.getByRole('link', { name: CHARACTER, exact: true }).first().waitFor();
  await pictured(phone.page, 'search-phone');
  await phone.page.getByRole('searchbox').fill('nothing of this kind');
  await phone.page.getByText('Nothing fits that').waitFor();
  await phone.close();
});

signedIn('a message far up is read until it is there', async (page) => {
  const conversation = await meet(page);
  const send = (text, clientId) =>
    page.request.post(`/api/conversations/${conversation}/messages`, {
      data: { type: 'text', text, clientId },
      headers: { origin: aim.url },
    });
  assert.equal((await send('The first quixotic thing', 'first')).status(), 202);
  // They need no answers here: each is stopped as soon as it is asked for.
  for (let n = 0; n < 60; n += 1) {
    assert.equal((await send(`filler ${n}`, `filler-${n}`)).status(), 202);
  }
  await page.request.post(`/api/conversations/${conversation}/cancel`, { headers: { origin: aim.url } });
  assert.ok((await stored(page, conversation)).length > 60);
  await page.goto('/search?q=quixo');
  await page.locator('.row mark', { hasText: 'quixotic' }).waitFor();
  await page.locator('.row--link a').first().click();
  const found = page.locator('.said--found', { hasText: 'The first quixotic thing' });
  await found.waitFor();
  const box = await found.boundingBox();
  assert.ok(box.y > 0 && box.y < 800, `it is in view: ${JSON.stringify(box)}`);
});

signedIn('favourites, the theme and a half-filled form follow a person', async (page, { username, elsewhere }) => {
  const heart = page.getByRole('button', { name: `Favourite: ${CHARACTER}` });
  await heart.click();
  await page.getByRole('button', { name: 'Use the dark theme' }).click();
  await page.waitForResponse((answer) => answer.url().endsWith('/preferences') && answer.request().method() === 'PUT');
  await page.getByRole('button', { name: 'Favourites', exact: true }).click();
  await page.waitForFunction(() => document.querySelectorAll('.card:not(.card--loading)').length === 1);
  await pictured(page, 'favourites-desk');
  await page.goto('/characters/new');
  await page.getByLabel('Name', { exact: true }).fill('Half a keeper');
  await page.waitForResponse((answer) => answer.url().includes('/api/drafts/new-character') && answer.request().method() === 'PUT');
  await page.reload();
  await page.getByText('You go on where you left this form.').waitFor();
  assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'Half a keeper');

  const phone = await elsewhere(username, PHONE);
  await phone.page.waitForFunction(() => document.documentElement.dataset.theme === 'dark');
  assert.equal(await phone.page.getByRole('button', { name: `Favourite: ${CHARACTER}` }).getAttribute('aria-pressed'), 'true');
  await pictured(phone.page, 'characters-phone');
  await phone.page.goto('/characters/new');
  await phone.page.getByLabel('Name', { exact: true }).waitFor();
  assert.equal(await phone.page.getByLabel('Name', { exact: true }).inputValue(), 'Half a keeper');
  await phone.page.getByRole('button', { name: '2. Personality' }).click();
  await phone.page.getByLabel('Description').fill('Of two devices.');
  await pictured(phone.page, 'draft-phone');
  await phone.page.getByRole('button', { name: '6. Review' }).click();
  const forgotten = phone.page.waitForResponse((answer) => answer.request().method() === 'DELETE' && answer.url().includes('/api/drafts/'));
  await phone.page.getByRole('button', { name: 'Create character' }).click();
  await phone.page.waitForURL((url) => !url.pathname.endsWith('/new'));
  await phone.page.getByRole('heading', { level: 1, name: 'Half a keeper' }).waitFor();
  await forgotten;
  await phone.page.goto('/characters/new');
  await phone.page.getByLabel('Name', { exact: true }).waitFor();
  assert.equal(await phone.page.getByLabel('Name', { exact: true }).inputValue(), '', 'what is done is kept no more');
  await phone.close();
});

signedIn('characters are narrowed to a tag and put in order', async (page, { open }) => {
  const origin = { origin: aim.url };
  const make = async (name, tags, visibility = 'public') => {
    const answer = await page.request.post('/api/characters', { data: { name, tags, visibility }, headers: origin });
    assert.equal(answer.status(), 201, await answer.text());
    return (await answer.json()).character.id;
  };
  const talk = async (who, characterId) => {
    const answer = await who.request.post('/api/conversations', { data: { characterId }, headers: origin });
    assert.equal(answer.status(), 201);
  };
  const tag = 'quartz-mills';
  const [anna, , cleo] = [await make('Sorted Anna', [tag]), await make('Sorted Bela', [tag, 'other-mills']), await make('Sorted Cleo', [tag], 'private')];
  const somebody = await open();
  await register(somebody.page);
  for (const who of [page, somebody.page]) await talk(who, anna);
  await talk(page, cleo);
  const order = async (names, among = 'Sorted ') => {
    const wanted = names.map((name) => `${among}${name}`);
    await page.waitForFunction(
      ([wanted]) => {
        const shown = [...document.querySelectorAll('.card__name')].map((name) => name.textContent);
        return document.querySelector('.cards[aria-busy="true"]') === null && JSON.stringify(shown) === wanted;
      },
      [JSON.stringify(wanted)],
    );
  };
  // The tag is one press away for who comes by a link.
  await page.goto(`/characters?tag=${tag}`);
  await order(['Cleo', 'Bela', 'Anna']);
  const chip = page.locator('.finder__tags').getByRole('button', { name: new RegExp(`^${tag}`) });
  assert.equal(await chip.getAttribute('aria-pressed'), 'true');
  const sort = page.getByRole('combobox', { name: 'Sort by' });
  await sort.selectOption({ label: 'By name' });
  await page.waitForURL('**/characters?*sort=name*');
  await order(['Anna', 'Bela', 'Cleo']);
  await sort.selectOption({ label: 'Most talked with' });
  await order(['Anna', 'Cleo', 'Bela']);
  await sort.selectOption({ label: 'Talked with last' });
  await order(['Cleo', 'Anna']);
  await assertFits(page, 'sorted');
  await pictured(page, 'sorted-desk');
  // What is typed counts beside the tag, and a reload keeps all of it.
  await page.getByRole('searchbox', { name: 'Search characters' }).fill('ann');
  await order(['Anna']);
  await page.reload();
  await order(['Anna']);
  assert.equal(await sort.inputValue(), 'recent');
  await page.setViewportSize(PHONE.viewport);
  await assertFits(page, 'sorted on a phone');
  await pictured(page, 'sorted-phone');
  await page.getByRole('searchbox', { name: 'Search characters' }).fill('nobody of this kind');
  await page.getByText('Nobody fits that').waitFor();
  await page.getByRole('button', { name: 'Show everyone' }).click();
  await page.getByRole('link', { name: CHARACTER, exact: true }).waitFor();
  assert.equal(new URL(page.url()).search, '');

  // Tags with their counts: what is private counts for its owner alone.
  const counted = async (who) => {
    const answer = await who.request.get('/api/characters/tags?limit=100');
    const counts = Object.fromEntries((await answer.json()).items.map(({ tag, count }) => [tag, count]));
    return [counts[tag], counts['other-mills']];
  };
  assert.deepEqual([await counted(page), await counted(somebody.page)], [[3, 1], [2, 1]]);
});

signedIn('who comes back from a character is where they were in the list, and nothing is asked for again', async (page) => {
  for (let n = 0; n < 30; n += 1) {
    const data = { name: `Keeper ${n}`, description: 'Keeps a lamp.', tags: ['lamps'] };
    assert.equal((await page.request.post('/api/characters', { data, headers: { origin: aim.url } })).status(), 201);
  }
  await page.goto('/characters?q=keeper');
  await page.getByRole('link', { name: 'Keeper 29', exact: true }).waitFor();
  await page.getByRole('button', { name: 'Show more' }).click();
  const card = page.getByRole('link', { name: 'Keeper 1', exact: true });
  await card.scrollIntoViewIfNeeded();
  const top = () => page.evaluate(() => document.getElementById('content').scrollTop);
  const [before, cards] = [await top(), await page.locator('.card').count()];
  assert.ok(before > 200, `it is scrolled: ${before}`);
  const asked = [];
  page.on('request', (request) => {
    if (/\/api\/characters(\/tags)?\?/.test(request.url())) asked.push(request.url());
  });
  for (const back of [() => page.goBack(), () => page.getByRole('link', { name: 'All characters' }).click()]) {
    await card.click();
    await page.getByRole('heading', { level: 1, name: 'Keeper 1', exact: true }).waitFor();
    await back();
    await card.waitFor();
    assert.ok(Math.abs((await top()) - before) < 5, `${await top()} instead of ${before}`);
    assert.equal(await page.locator('.card').count(), cards);
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Keeper 1');
  }
  assert.deepEqual(asked, []);
});

signedIn('what is too large to be kept while one writes is said, and saved all the same', async (page, { username, open }) => {
  await page.setViewportSize(PHONE.viewport);
  await page.goto('/characters/new');
  await page.getByLabel('Name', { exact: true }).fill('A long story');
  await page.getByRole('button', { name: '2. Personality' }).click();
  const story = page.getByLabel('Description');
  const refused = page.waitForResponse((answer) => answer.url().includes('/api/drafts/') && answer.status() === 413);
  await story.fill('A word of it. '.repeat(5_000));
  await refused;
  const notice = page.getByText('What you type is not kept for later: together it is over 64 KB.');
  await notice.waitFor();
  await story.scrollIntoViewIfNeeded();
  const box = await notice.boundingBox();
  assert.ok(box.y >= 0 && box.y < PHONE.viewport.height, `it is in view: ${JSON.stringify(box)}`);
  await assertFits(page, 'a draft that is too large');
  await pictured(page, 'draft-too-large-phone');
  // Who closes the page is asked first.
  let asked = 0;
  page.on('dialog', async (dialog) => {
    asked += 1;
    await dialog.dismiss();
  });
  await page.reload({ timeout: 3_000 }).catch(() => undefined);
  assert.equal(asked, 1);
  assert.equal((await story.inputValue()).length, 70_000);

  // Who goes somewhere else comes back to it, by a link or by the back button; elsewhere the page is not closed unasked either.
  const isThere = async () => {
    await page.getByText('You go on where you left this form.').waitFor();
    await notice.waitFor();
    assert.equal((await story.inputValue()).length, 70_000);
  };
  await page.getByRole('link', { name: 'Search' }).click();
  await page.getByRole('searchbox', { name: 'Search characters and messages' }).waitFor();
  await page.reload({ timeout: 3_000 }).catch(() => undefined);
  assert.equal(asked, 2);
  await page.goBack();
  await isThere();
  await page.getByRole('link', { name: 'All characters' }).click();
  await page.getByRole('link', { name: 'New character' }).click();
  await isThere();
  await pictured(page, 'draft-too-large-back-phone');
  // The next one who signs in here has a form of their own.
  const other = await open();
  const [next, mine] = [await register(other.page), username];
  await other.close();
  const enter = async (name) => {
    await page.getByRole('link', { name: 'Settings' }).click();
    await page.getByRole('button', { name: 'Log out' }).first().click();
    await page.getByLabel('Email or username').fill(name);
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('link', { name: 'Characters', exact: true }).click();
    await page.getByRole('link', { name: 'New character' }).click();
    await page.getByText('Step').first().waitFor();
  };
  await enter(next);
  assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), '');
  await page.getByLabel('Name', { exact: true }).fill('Somebody else');
  await enter(mine);
  await story.waitFor();

  // Once it fits again it is kept.
  const kept = page.waitForResponse((answer) => answer.url().includes('/api/drafts/') && answer.status() === 200);
  await story.fill('A short story.');
  await kept;
  await notice.waitFor({ state: 'detached' });
});

signedIn('one takes the data along, leaves, and comes back', async (page, { username, elsewhere }) => {
  const there = await elsewhere(username);
  await page.goto('/settings');
  await pictured(page, 'settings-desk');
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'Download my data' }).click(),
  ]);
  assert.equal(download.suggestedFilename(), `aim-${username}.zip`);
  const pieces = [];
  for await (const piece of await download.createReadStream()) pieces.push(piece);
  assert.equal(Buffer.concat(pieces).subarray(0, 2).toString(), 'PK');

  await page.getByLabel('Current password').fill(PASSWORD);
  await page.getByLabel('New password').fill('another long one');
  await page.getByRole('button', { name: 'Change password' }).click();
  await page.getByText('Changed', { exact: true }).waitFor();
  await there.page.goto('/settings');
  await there.page.getByText('Log in to go on').first().waitFor();
  await there.close();

  await page.getByRole('button', { name: 'Delete my account' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete my account' }).click();
  await page.getByText('Your account is deleted.').waitFor();
  await page.getByLabel('Email or username').fill(username);
  await page.getByLabel('Password').fill('another long one');
  await page.getByRole('button', { name: 'Log in' }).click();
  await pictured(page, 'restore-desk');
  await page.getByRole('button', { name: 'Restore my account' }).click();
  await page.waitForURL((url) => !url.pathname.startsWith('/login'));
  assert.equal((await page.request.get('/api/auth/me')).status(), 200);
});
