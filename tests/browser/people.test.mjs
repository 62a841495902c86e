// Two people in one conversation, each in a browser of their own.
import assert from 'node:assert/strict';
import { meet, PASSWORD, quiet, register, say, shown } from './chromium.mjs';
import { assertWcag, product } from './harness.mjs';

const { aim, model, visit } = product();

/** A test with two browsers: Anna on a desk, who is signed in, and Ben on a phone, who is not. */
function withTwo(name, body) {
  visit(name, async ({ open }) => {
    const [anna, ben] = [await open(), await open({ viewport: { width: 390, height: 844 } })];
    await register(anna.page);
    await body(anna.page, ben.page);
  });
}

const people = (page) => page.getByRole('button', { name: /^People/ });

/** Anna makes a link in her dialog; where it leads. */
async function makeLink(page) {
  await people(page).click();
  await page.getByLabel('It works for').selectOption({ label: 'A day' });
  await page.getByRole('button', { name: 'Make a link' }).click();
  const link = page.getByLabel(/^Whoever has this link/);
  await link.waitFor();
  return new URL(await link.inputValue());
}

/** Ben registers on the way of the link, and joins. */
async function joinBy(page, link, name = 'Ben') {
  await page.goto(link.pathname);
  await page.getByText('Somebody invites you to a conversation.').waitFor();
  await page.getByRole('link', { name: 'Create an account' }).click();
  const username = `ben_${process.pid}_${Math.floor(Math.random() * 1e9)}`;
  await page.getByLabel('Username').fill(username);
  await page.getByLabel('What characters call you (optional)').fill(name);
  await page.getByLabel('Email').fill(`${username}@example.test`);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.getByText(/invites you to talk with Captain Mara Vale/).waitFor();
  await assertWcag(page);
  await page.getByRole('button', { name: 'Join' }).click();
  await page.waitForURL('**/c/*');
  await page.locator('.log').waitFor();
  return username;
}

withTwo('somebody comes in by a link, and both see who says what', async (anna, ben) => {
  const conversation = await meet(anna);
  const link = await makeLink(anna);
  assert.equal(link.origin, aim.url);
  await anna.getByRole('list', { name: 'Links that are open' }).getByText('Not used yet').waitFor();
  await assertWcag(anna);
  await joinBy(ben, link);
  assert.equal(new URL(ben.url()).pathname, `/c/${conversation}`);

  // Her dialog and her head follow.
  await anna.getByRole('dialog').getByText('Ben', { exact: true }).waitFor();
  await anna.keyboard.press('Escape');
  await anna.getByRole('button', { name: 'People: 2' }).waitFor();

  // The replies wait until what is shown meanwhile was seen.
  model.plan = { ...model.plan, steps: true };
  await ben.getByRole('textbox', { name: /^Message to/ }).pressSequentially('Goo');
  await anna.getByText('Ben is typing').waitFor();
  await say(ben, 'Good evening, I am new here.');
  const his = anna.locator('.said--other', {
    hasText: 'Good evening, I am new here.',
  });
  await his.waitFor();
  await his.getByText('Ben', { exact: false }).first().waitFor();
  assert.equal(await his.locator('.avatar').count(), 1, 'with his face');
  assert.equal(await anna.locator('.said--mine').count(), 0);
  await ben.locator('.said--mine', { hasText: 'Good evening, I am new here.' }).waitFor();
  await anna.getByText('is answering Ben').waitFor({ timeout: 60_000 });
  await say(anna, 'Welcome, Ben.');
  await ben.locator('.said--other', { hasText: 'Welcome, Ben.' }).waitFor();
  await anna.getByText('1 before you').or(anna.getByText('is answering you')).first().waitFor({ timeout: 60_000 });
  model.release();
  for (const page of [anna, ben]) {
    await quiet(page, 3);
    await assertWcag(page);
  }
  assert.deepEqual(await shown(anna), await shown(ben));

  // The last reply answers Anna: Ben, a guest, does not change it.
  await anna.getByRole('button', { name: 'Another variant' }).waitFor();
  assert.equal(await ben.getByRole('button', { name: 'Another variant' }).count(), 0);
});

withTwo('who is removed while they look is told, and led to their list; the old link is dead', async (anna, ben) => {
  await meet(anna);
  const link = await makeLink(anna);
  await joinBy(ben, link, 'Ben');
  await anna.getByRole('button', { name: 'Remove Ben' }).click();
  await anna.getByRole('dialog', { name: 'Remove Ben?' }).getByRole('button', { name: 'Remove' }).click();
  await anna.getByRole('button', { name: 'Remove Ben' }).waitFor({ state: 'detached' });

  await ben
    .getByRole('alert')
    .getByText(/You are no longer in/)
    .waitFor();
  await ben.waitForURL((url) => url.pathname === '/');
  await assertWcag(ben);
  assert.equal(await ben.locator('.chat-list__one').count(), 0);
  await ben.getByRole('button', { name: 'All right' }).click();
  await ben.goto(link.pathname);
  await ben.getByText('This link does not work any more').waitFor();
  await assertWcag(ben);
  await anna.keyboard.press('Escape');
  await anna.getByRole('button', { name: 'People: only you' }).waitFor();
});

withTwo('a guest leaves after asking, and a withdrawn link leads nowhere', async (anna, ben) => {
  await meet(anna);
  const link = await makeLink(anna);
  await joinBy(ben, link);
  await people(ben).click();
  await ben.getByRole('dialog', { name: 'People' }).getByText('owner').waitFor();
  await ben.getByRole('button', { name: 'Leave' }).click();
  await ben.getByRole('button', { name: 'Stay' }).click();
  await ben.getByRole('button', { name: 'Leave' }).click();
  await ben.getByRole('dialog', { name: 'Leave this conversation?' }).getByRole('button', { name: 'Leave' }).click();
  await ben.waitForURL((url) => url.pathname === '/');
  assert.equal(await ben.getByRole('alert').count(), 0, 'nobody has to tell him');
  await anna.getByRole('dialog').getByText('Ben', { exact: true }).waitFor({ state: 'detached' });

  await anna.getByRole('button', { name: /^Withdraw the link/ }).click();
  await anna.getByRole('button', { name: /^Withdraw the link/ }).waitFor({ state: 'detached' });
  await ben.goto(link.pathname);
  await ben.getByText('This link does not work any more').waitFor();
});
