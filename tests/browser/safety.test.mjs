// Reporting, blocking, and what operators do about it, in a real browser.
import assert from 'node:assert/strict';
import { eventually } from '../contract/client.mjs';
import { PASSWORD, register } from './chromium.mjs';
import { assertWcag, PHONE, pictured, product } from './harness.mjs';

const { aim, visit, signedIn } = product();

/** A call with this page's cookie; the body of an answer that must be a success. */
async function call(page, method, path, body) {
  const { status, text } = await page.evaluate(async ([method, path, body]) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
    return { status: answer.status, text: await answer.text() };
  }, [method, path, body]);
  assert.ok(status < 300, `${method} ${path}: ${status} ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}

async function character(page, name) {
  const draft = { name, description: 'Keeps a lighthouse.', greeting: 'Come in.', visibility: 'public' };
  return (await call(page, 'POST', '/api/characters', draft)).character;
}

async function becomesAdmin(page, username) {
  await aim.command('user', 'set', username, '--role', 'admin');
  await eventually('the server to know', async () => (await page.request.get('/api/admin/audit')).status() === 200);
  await page.goto('/settings');
}

visit('what somebody reports an operator sees and takes out of lists', async ({ open }) => {
  const [author, reader, operator] = [await open(), await open(PHONE), await open()];
  await register(author.page);
  const { id } = await character(author.page, 'Nora Copy');
  await register(reader.page);
  await reader.page.goto(`/characters/${id}`);
  const more = reader.page.getByRole('button', { name: 'More about Nora Copy' });
  await more.focus();
  await reader.page.keyboard.press('Enter');
  await reader.page.waitForFunction(() => document.activeElement?.textContent?.trim() === 'Report');
  await pictured(reader.page, 'actions-phone');
  await reader.page.keyboard.press('Escape');
  await reader.page.waitForFunction(() => document.activeElement?.getAttribute('aria-label') === 'More about Nora Copy');
  await reader.page.keyboard.press('Enter');
  await reader.page.getByRole('button', { name: 'Report', exact: true }).click();
  const dialog = reader.page.getByRole('dialog', { name: 'Report this character' });
  assert.equal(await dialog.getByRole('button', { name: 'Send report' }).isDisabled(), true, 'a reason is needed');
  await dialog.getByText('It pretends to be somebody').click();
  await dialog.getByLabel('What should we know?').fill('Nora is mine.');
  await assertWcag(reader.page);
  await pictured(reader.page, 'report-phone');
  await dialog.getByRole('button', { name: 'Send report' }).click();
  const thanks = reader.page.getByRole('dialog', { name: 'Thank you' });
  await thanks.getByRole('button', { name: 'Close' }).last().click();
  await thanks.waitFor({ state: 'detached' });
  await reader.page.waitForFunction(() => document.activeElement?.getAttribute('aria-label') === 'More about Nora Copy');
  await call(author.page, 'PATCH', `/api/characters/${id}`, { description: 'All is well here.' });

  const username = await register(operator.page);
  await operator.page.goto('/admin/complaints');
  await operator.page.getByText('Nothing here').or(operator.page.getByRole('heading', { level: 1 })).first().waitFor();
  assert.equal(await operator.page.getByRole('heading', { name: 'Reports of people' }).count(), 0, 'it is for operators alone');
  await becomesAdmin(operator.page, username);
  await operator.page.getByRole('link', { name: /^Reports of people/ }).click();
  await operator.page.waitForURL('**/admin');
  await pictured(operator.page, 'admin-desk');
  await operator.page.getByRole('link', { name: 'Reports of people' }).click();
  await operator.page.waitForURL('**/admin/complaints');
  const report = operator.page.locator('[data-complaint]').first();
  await report.getByRole('heading', { name: 'Character: It pretends to be somebody' }).waitFor();
  await report.getByText('Nora is mine.').waitFor();
  await report.getByText('Keeps a lighthouse.').waitFor();
  assert.equal(await report.getByText('All is well here.').count(), 0, 'it is shown as it was');
  await assertWcag(operator.page);
  await pictured(operator.page, 'complaints-desk');
  await report.getByRole('button', { name: 'Unlist character' }).click();
  await operator.page.getByLabel('Reason, which its owner reads').fill('A copy of another’s character.');
  await operator.page.getByRole('dialog').getByRole('button', { name: 'Unlist', exact: true }).click();
  await report.getByText('unlisted').waitFor();
  await operator.page.setViewportSize(PHONE.viewport);
  await assertWcag(operator.page);
  await pictured(operator.page, 'complaints-phone');
  await report.getByRole('button', { name: 'Close report' }).click();
  await operator.page.getByLabel('What was decided').fill('Unlisted.');
  await operator.page.getByRole('dialog').getByRole('button', { name: 'Close report' }).click();
  await operator.page.getByText('Nothing is reported').waitFor();
  await operator.page.waitForFunction(() => document.activeElement?.textContent === 'Nothing is reported');
  await operator.page.getByRole('radio', { name: 'Closed' }).check();
  await operator.page.getByText('Unlisted.', { exact: true }).waitFor();
  await operator.page.goto('/admin/audit');
  await operator.page.getByText(/unlisted the character Nora Copy/).waitFor();
  await assertWcag(operator.page);

  await reader.page.goto('/characters');
  await reader.page.getByRole('link', { name: 'Captain Mara Vale' }).first().waitFor();
  assert.equal(await reader.page.getByText('Nora Copy').count(), 0);
  await author.page.goto(`/characters/${id}`);
  await author.page.getByText('Reason: A copy of another’s character.').waitFor();
  await pictured(author.page, 'unlisted-desk');
});

signedIn('a suspension throws a signed-in browser out, and is told at the door', async (page, { username, open }) => {
  const operator = await open();
  // The first administrator stays, so that there is one.
  await becomesAdmin(operator.page, await register(operator.page));
  await page.goto('/settings');
  await page.getByRole('heading', { name: 'Devices' }).waitFor();
  const people = operator.page;
  await people.goto('/admin');
  await people.getByRole('link', { name: 'People', exact: true }).click();
  await people.getByRole('searchbox').fill(`@${username.toUpperCase()}`);
  const row = people.locator('[data-account]').filter({ hasText: `@${username}` });
  await row.waitFor();
  await people.waitForFunction(() => document.querySelectorAll('[data-account]').length === 1);
  await row.getByRole('button', { name: /^Suspend/ }).click();
  await people.getByLabel('Until it is undone').check();
  await people.getByLabel('Reason, which they read').fill('Advertising.');
  await people.getByRole('dialog').getByRole('button', { name: 'Suspend', exact: true }).click();
  await row.getByText('Suspended until it is undone: Advertising.').waitFor();
  await assertWcag(people);
  await pictured(people, 'people-desk');
  await people.setViewportSize(PHONE.viewport);
  await assertWcag(people);
  await pictured(people, 'people-phone');
  await page.waitForURL('**/login**', { timeout: 20_000 });
  await page.getByLabel('Email or username').fill(username);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByText('This account is suspended. Reason: Advertising.').waitFor();
  await assertWcag(page);
  await pictured(page, 'suspended-desk');
  await people.getByRole('searchbox').fill('');
  // The list follows what is typed a moment later.
  await people.waitForFunction(() => document.querySelectorAll('[data-account]').length > 1);
  await people.getByRole('radio', { name: 'Suspended' }).check();
  await people.waitForFunction(() => document.querySelectorAll('[data-account]').length === 1);
  await row.getByRole('button', { name: /^Let in again/ }).click();
  await people.getByLabel('Reason, for the audit').fill('A mistake.');
  await people.getByRole('dialog').getByRole('button', { name: 'Let in', exact: true }).click();
  await row.getByRole('button', { name: /^Suspend/ }).waitFor();
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.waitForURL((url) => url.pathname !== '/login');
});

visit('what a blocked person says in a shared room is folded', async ({ open }) => {
  const [host, guest] = [await open(), await open(PHONE)];
  await register(host.page);
  await register(guest.page);
  const { id: characterId } = await character(host.page, 'Otto');
  const { conversation } = await call(host.page, 'POST', '/api/conversations', { characterId });
  const { user } = await call(guest.page, 'GET', '/api/auth/me');
  await call(host.page, 'POST', `/api/conversations/${conversation.id}/members`, { userId: user.id });
  await call(host.page, 'POST', `/api/conversations/${conversation.id}/messages`, { type: 'text', text: 'Rude words', clientId: '1' });
  await guest.page.goto(`/c/${conversation.id}`);
  await guest.page.getByText('Rude words').first().waitFor();
  await guest.page.getByRole('button', { name: 'More about this message' }).click();
  await guest.page.getByRole('button', { name: 'Block this person' }).click();
  await guest.page.getByText('Message of a blocked person.').first().waitFor();
  assert.equal(await guest.page.getByText('Rude words').count(), 0);
  await guest.page.reload();
  const folded = guest.page.locator('.bubble--folded');
  await folded.waitFor();
  await assertWcag(guest.page);
  await pictured(guest.page, 'folded-phone');
  await folded.getByRole('button', { name: 'Show' }).click();
  await guest.page.getByText('Rude words').first().waitFor();

  await guest.page.goto('/settings');
  const unblock = guest.page.getByRole('button', { name: /^Unblock/ });
  await unblock.scrollIntoViewIfNeeded();
  await pictured(guest.page, 'blocked-phone');
  await unblock.click();
  await guest.page.getByText('None. Whom you block').waitFor();
  await guest.page.goto(`/c/${conversation.id}`);
  await guest.page.getByText('Rude words').first().waitFor();
  assert.equal(await folded.count(), 0);
});

visit('whose author one blocks is in no list any more, until one unblocks them', async ({ open }) => {
  const [author, reader] = [await open(), await open(PHONE)];
  await register(author.page);
  const { id } = await character(author.page, 'Blocked Bea');
  await call(author.page, 'PATCH', `/api/characters/${id}`, { tags: ['beacon-tag'] });
  await register(reader.page);
  const { conversation } = await call(reader.page, 'POST', '/api/conversations', { characterId: id });
  const { page } = reader;
  const card = page.getByRole('link', { name: 'Blocked Bea', exact: true });
  const tags = async () => (await call(page, 'GET', '/api/characters/tags?limit=100')).items.map(({ tag }) => tag);
  await page.goto('/characters');
  await card.waitFor();
  assert.ok((await tags()).includes('beacon-tag'));

  await card.click();
  const more = page.getByRole('button', { name: 'More about Blocked Bea' });
  await more.click();
  await pictured(page, 'block-author-phone');
  await page.getByRole('button', { name: 'Block its author' }).click();
  await page.waitForFunction(() => document.activeElement?.getAttribute('aria-label') === 'More about Blocked Bea');
  await more.click();
  await page.getByRole('button', { name: 'Unblock its author' }).waitFor();
  await page.keyboard.press('Escape');

  // It is in no list, no search and no tag; its favourite and its link stay one's own business, and what was said stays.
  for (const where of ['/characters', '/characters?sort=name', '/characters?q=blocked', '/characters?tag=beacon-tag']) {
    await page.goto(where);
    await page.locator('.card:not(.card--loading), .empty').first().waitFor();
    assert.equal(await card.count(), 0, where);
  }
  await pictured(page, 'blocked-author-phone');
  assert.ok(!(await tags()).includes('beacon-tag'));
  await page.goto('/search?q=blocked%20bea');
  await page.getByText('Nothing fits that').waitFor();
  await page.goto(`/c/${conversation.id}`);
  await page.locator('.log').getByText('Come in.').waitFor();
  // Nobody else is kept from it.
  await author.page.goto('/characters?q=blocked');
  await author.page.getByRole('link', { name: 'Blocked Bea', exact: true }).waitFor();

  await page.goto('/settings');
  const unblock = page.getByRole('button', { name: /^Unblock/ });
  await unblock.click();
  await page.getByText('None. Whom you block').waitFor();
  await page.goto('/characters?tag=beacon-tag');
  await card.waitFor();
  assert.ok((await tags()).includes('beacon-tag'));
  await pictured(author.page, 'unblocked-desk');
});
