// Search, favourites, a form that goes on elsewhere, and leaving, in a real browser.
import assert from 'node:assert/strict';
import { CHARACTER, meet, PASSWORD, quiet, say, stored } from './chromium.mjs';
import { PHONE, pictured, product } from './harness.mjs';

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
