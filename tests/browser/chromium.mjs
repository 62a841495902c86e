// Chromium, and the steps that many tests share. Every page is watched for errors and refused scripts or styles.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export const PASSWORD = 'correct horse battery';
export const CHARACTER = 'Captain Mara Vale';

export async function launchChromium() {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  if (!existsSync(executablePath)) {
    throw new Error(`${executablePath} is missing: install it (apt-get install chromium) or name one in CHROMIUM`);
  }
  return chromium.launch({ executablePath, args: FLAGS });
}

/** A new browser profile with a page at `url`. `settings` as for Playwright's newContext. */
export async function openPage(browser, url, settings = {}) {
  const context = await browser.newContext({ baseURL: url, viewport: { width: 1280, height: 800 }, ...settings });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const troubles = [];
  page.on('pageerror', (error) => troubles.push(`error: ${error.message}`));
  page.on('console', (message) => {
    if (/content security policy/i.test(message.text())) troubles.push(message.text());
  });
  const close = async () => {
    await context.close();
    assert.deepEqual(troubles, [], 'the page had errors');
  };
  return { context, page, close };
}

let people = 0;

/** A name that nobody has, for somebody new. */
export function newName() {
  people += 1;
  return `person_${process.pid}_${people}`;
}

/** Registers somebody new, as the form does it, and opens the list of characters. */
export async function register(page) {
  const username = newName();
  const data = { username, email: `${username}@example.test`, password: PASSWORD };
  const answer = await page.request.post('/api/auth/register', { data });
  assert.equal(answer.status(), 201, await answer.text());
  await page.goto('/characters');
  await page.getByRole('heading', { level: 1, name: 'Characters' }).waitFor();
  return username;
}

/** Logs in by the form; ends on the list of characters. */
export async function logIn(page, username, password = PASSWORD) {
  await page.goto('/login');
  await page.getByLabel('Email or username').fill(username);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.waitForURL('**/characters');
}

/** Opens the conversation with a demo character; answers its id. */
export async function meet(page, name = CHARACTER) {
  await page.goto('/characters');
  await page.getByRole('link', { name, exact: true }).first().click();
  await page.getByRole('button', { name: `Talk with ${name}` }).click();
  await page.waitForURL('**/c/*');
  await page.locator('.log').waitFor();
  return new URL(page.url()).pathname.split('/').at(-1);
}

export async function say(page, text) {
  await page.getByRole('textbox', { name: /^Message to/ }).fill(text);
  await page.keyboard.press('Enter');
}

/** Swipes across the last reply, from one place to another, in pixels from the left. */
export async function finger(page, context) {
  const client = await context.newCDPSession(page);
  const touch = (type, ...touchPoints) => client.send('Input.dispatchTouchEvent', { type, touchPoints });
  return async (from, to) => {
    const box = await page.locator('.variants__reply').boundingBox();
    const y = box.y + Math.min(box.height / 2, 30);
    await touch('touchStart', { x: from, y });
    for (let i = 1; i <= 5; i += 1) await touch('touchMove', { x: from + ((to - from) * i) / 5, y });
    await touch('touchEnd');
  };
}

/** All messages as the server has them. */
export async function stored(page, conversation) {
  const answer = await page.request.get(`/api/conversations/${conversation}/messages?limit=100`);
  assert.equal(answer.status(), 200);
  return (await answer.json()).items;
}

/** The messages as the page shows them, the reply under way apart. */
export function shown(page) {
  return page.locator('[data-message]').evaluateAll((rows) =>
    rows.map((row) => ({
      id: row.dataset.message,
      role: row.dataset.role,
      text: row.querySelector('.markdown').textContent,
    })),
  );
}

/** A text without its spaces and Markdown marks, to compare what is shown with what is stored. */
export const bare = (text) => text.replace(/[\s*_~`#>|\\-]/g, '');

/** Waits until nothing streams, waits or types any more. */
export async function quiet(page, replies) {
  await page.waitForFunction(
    (count) =>
      document.querySelectorAll('[data-message][data-role="character"]').length >= count &&
      document.querySelector('.bubble--streaming, .bubble--typing, .said--unsent') === null,
    replies,
    { timeout: 120_000 },
  );
}

export async function assertShownAsStored(page, conversation) {
  const [seen, kept] = [await shown(page), await stored(page, conversation)];
  assert.deepEqual(
    seen.map(({ id, text }) => ({ id, text: bare(text) })),
    kept.map(({ id, text }) => ({ id, text: bare(text) })),
  );
  return kept;
}
