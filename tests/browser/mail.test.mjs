// Where links in mails lead, in a real browser: from the letter in the folder to the page and back in.
import assert from 'node:assert/strict';
import { eventually } from '../contract/client.mjs';
import { PASSWORD } from './chromium.mjs';
import { assertFits, assertWcag, PHONE, pictured, product } from './harness.mjs';

const { signedIn, visit } = product({ answers: 'nobody' });

/** Opens the newest mail of this subject to this person as HTML, as the page of the folder shows it. */
async function openMail(page, username, subject) {
  const row = page.getByRole('row').filter({ hasText: `${username}@example.test` }).getByRole('link', { name: subject });
  for (let tries = 0; tries < 100; tries += 1) {
    await page.goto('/dev/mails');
    if ((await row.count()) > 0) break;
    await page.waitForTimeout(100);
  }
  await row.first().click();
  await page.getByRole('link', { name: 'As HTML' }).click();
}

signedIn('somebody who forgot a password comes back in by mail', async (page, { username }) => {
  await page.goto('/settings');
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByRole('link', { name: 'Forgot your password?' }).click();
  await assertWcag(page);
  await page.getByLabel('Email or username').fill(username);
  await page.getByRole('button', { name: 'Send the link' }).click();
  await page.getByText('a mail is on its way').waitFor();
  await openMail(page, username, 'Choose a new password');
  const link = await page.getByRole('link', { name: 'Choose a new password' }).getAttribute('href');
  await page.getByRole('link', { name: 'Choose a new password' }).click();
  await page.waitForURL('**/reset?*');
  await assertWcag(page);
  await page.getByLabel('New password').fill('battery staple');
  await page.getByRole('button', { name: 'Set password' }).click();
  await page.getByText('Your new password is set.').waitFor();
  await page.getByRole('link', { name: 'Log in' }).click();
  await page.getByLabel('Email or username').fill(username);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('alert').waitFor();
  await page.getByLabel('Password').fill('battery staple');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.waitForURL('**/characters');
  await page.goto(link);
  await page.getByLabel('New password').fill('battery staple 2');
  await page.getByRole('button', { name: 'Set password' }).click();
  await page.getByText('This link was used already').waitFor();
});

signedIn('a welcome confirms the address, and the settings say so', async (page, { username }) => {
  await page.goto('/settings');
  await page.getByText('is not confirmed yet').waitFor();
  await openMail(page, username, 'Welcome to aim');
  await assertWcag(page);
  await page.getByRole('link', { name: 'Confirm this address' }).click();
  await page.getByRole('button', { name: 'Confirm' }).click();
  await page.getByText('your address is confirmed').waitFor();
  await assertWcag(page);
  await page.goto('/settings');
  const choice = page.getByRole('checkbox', { name: 'Tell me when a reply waits' });
  await choice.waitFor();
  assert.equal(await page.getByText('is not confirmed yet').count(), 0);
  await choice.uncheck();
  await eventually('the choice to be kept', async () => !(await (await page.request.get('/api/mail/notices')).json()).replyWaiting);
  await page.reload();
  await choice.waitFor();
  assert.equal(await choice.isChecked(), false);
});

signedIn('another address counts at once, and is confirmed by the mail that goes there', async (page, { username }) => {
  const moved = `${username}_moved`;
  await page.goto('/settings');
  const group = page.locator('.group').filter({ has: page.getByRole('heading', { name: 'Email address' }) });
  const change = async (email, password) => {
    await group.getByLabel('Email', { exact: true }).fill(email);
    await group.getByLabel('Your password').fill(password);
    await group.getByRole('button', { name: 'Change address' }).click();
  };
  assert.equal(await group.getByRole('button', { name: 'Change address' }).isDisabled(), true);
  await change(`${moved}@example.test`, 'not the password');
  await group.getByRole('alert').first().waitFor();
  assert.equal((await (await page.request.get('/api/auth/me')).json()).user.email, `${username}@example.test`);
  await change(`${moved}@example.test`, PASSWORD);
  await group.getByText('Changed. Look for a mail').waitFor();
  await page.getByText(`${moved}@example.test is not confirmed yet`).waitFor();
  assert.equal(await group.getByLabel('Your password').inputValue(), '');
  await assertWcag(page);
  await pictured(page, 'address-desk', { fullPage: true });
  await page.setViewportSize(PHONE.viewport);
  await assertFits(page, 'settings');
  await pictured(page, 'address-phone', { fullPage: true });
  await openMail(page, moved, 'Confirm your address');
  await page.getByRole('link', { name: 'Confirm this address' }).click();
  await page.getByRole('button', { name: 'Confirm' }).click();
  await page.getByText('your address is confirmed').waitFor();
  await page.goto('/settings');
  await page.getByText(`${moved}@example.test`, { exact: true }).waitFor();
  await page.getByRole('checkbox', { name: 'Tell me when a reply waits' }).waitFor();
  assert.equal(await page.getByText('is not confirmed yet').count(), 0);
  // The old one hears that it was left, and lets nobody in.
  await openMail(page, username, 'The address of your account was changed');
  await page.goto('/settings');
  await page.getByRole('button', { name: 'Log out' }).click();
  const logIn = async (login) => {
    await page.getByLabel('Email or username').fill(login);
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Log in' }).click();
  };
  await page.goto('/login');
  await logIn(`${username}@example.test`);
  await page.getByRole('alert').waitFor();
  await logIn(`${moved}@example.test`);
  await page.waitForURL('**/characters');
});

visit('a link that was cut off says what to do', async ({ open }) => {
  const { page } = await open();
  await page.goto('/unsubscribe?token=half');
  await page.getByText('This link does not work any more.').waitFor();
  await assertWcag(page);
  await page.goto('/confirm?token=half');
  await page.getByRole('button', { name: 'Confirm' }).click();
  await page.getByText('its time is over').waitFor();
});
