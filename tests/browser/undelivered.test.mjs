// Who waits for a letter that could not be delivered sees it in the settings, and can have another one sent.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { startAim } from './aim.mjs';
import { launchChromium, openPage, register } from './chromium.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let browser;
let aim;
let post;

/** A mail server that takes letters for nobody until `isOpen`. */
async function startPost() {
  const office = { isOpen: false, taken: 0 };
  const server = createServer((socket) => {
    let [isLetter, rest] = [false, ''];
    const answer = (line) => {
      if (isLetter) {
        if (line !== '.') return undefined;
        isLetter = false;
        office.taken += 1;
        return '250 taken';
      }
      const order = line.slice(0, 4).toUpperCase();
      if (order === 'RCPT' && !office.isOpen) return '550 5.1.1 no such mailbox here, says mx.internal.example';
      if (order === 'QUIT') return '221 bye';
      isLetter = order === 'DATA';
      return isLetter ? '354 go on' : '250 fine';
    };
    socket.setEncoding('latin1').on('error', () => {});
    socket.on('data', (text) => {
      const lines = (rest + text).split('\r\n');
      rest = lines.pop();
      for (const said of lines.map(answer)) if (said !== undefined) socket.write(`${said}\r\n`);
    });
    socket.write('220 here\r\n');
  });
  await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
  return Object.assign(office, { port: server.address().port, close: () => server.close() });
}

before(async () => {
  post = await startPost();
  aim = await startAim({
    // Nothing is answered here.
    AIM_AI__PROVIDER: 'ollama',
    AIM_AI__MODEL: 'none',
    AIM_MAIL__URL: `smtp://127.0.0.1:${post.port}?tls=none`,
    AIM_MAIL__FROM: 'aim <hello@aim.example.test>',
    AIM_MAIL__PUBLIC_URL: 'https://aim.example.test',
  });
  browser = await launchChromium();
});

after(async () => {
  await browser?.close();
  await aim?.stop();
  post?.close();
});

async function assertAccessible(page) {
  const { violations } = await page.evaluate(`${axe}; axe.run({ runOnly: ['wcag2a', 'wcag2aa'] })`);
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`), []);
}

test('a letter that was refused is told in plain words, and another one can be sent', { timeout: 120_000 }, async () => {
  const { page, close } = await openPage(browser, aim.url);
  try {
    const username = await register(page);
    await page.goto('/settings');
    await page.getByText(`${username}@example.test is not confirmed yet.`).waitFor();
    const told = page.getByText('The letter could not be delivered');
    for (let tries = 0; tries < 100 && (await told.count()) === 0; tries += 1) {
      await page.waitForTimeout(200);
      await page.reload();
      await page.getByText('is not confirmed yet.').waitFor();
    }
    await told.waitFor();
    assert.ok(!(await page.content()).includes('mx.internal.example'), 'the mail server’s own words are for operators');
    await assertAccessible(page);
    if (process.env.SCREENSHOTS) {
      for (const [name, size] of [['desk', { width: 1280, height: 900 }], ['phone', { width: 390, height: 844 }]]) {
        await page.setViewportSize(size);
        await told.scrollIntoViewIfNeeded();
        await page.screenshot({ path: `${process.env.SCREENSHOTS}/undelivered-${name}.png` });
      }
    }

    post.isOpen = true;
    await page.getByRole('button', { name: 'Send the link again' }).click();
    await page.getByRole('button', { name: 'A link is on its way' }).waitFor();
    assert.equal(await told.count(), 0);
    for (let tries = 0; tries < 100 && post.taken === 0; tries += 1) await page.waitForTimeout(200);
    assert.equal(post.taken, 1);
    await page.reload();
    await page.getByText('is not confirmed yet.').waitFor();
    assert.equal(await told.count(), 0, 'it was delivered');
  } catch (error) {
    error.message += `\nat ${page.url()}; the server said last:\n${aim.log().slice(-1_500)}`;
    throw error;
  } finally {
    await close();
  }
});
