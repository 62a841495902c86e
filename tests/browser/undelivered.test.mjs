// Who waits for a letter that could not be delivered sees it in the settings, and can have another one sent.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after } from 'node:test';
import { eventually } from '../contract/client.mjs';
import { assertWcag, PHONE, pictured, product } from './harness.mjs';

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

const post = await startPost();
after(() => post.close());

const { signedIn } = product({
  answers: 'nobody',
  env: {
    AIM_MAIL__URL: `smtp://127.0.0.1:${post.port}?tls=none`,
    AIM_MAIL__FROM: 'aim <hello@aim.example.test>',
    AIM_MAIL__PUBLIC_URL: 'https://aim.example.test',
  },
});

signedIn('a letter that was refused is told in plain words, and another one can be sent', async (page, { username }) => {
  await page.goto('/settings');
  await page.getByText(`${username}@example.test is not confirmed yet.`).waitFor();
  const told = page.getByText('The letter could not be delivered');
  await eventually('word of the letter', async () => {
    await page.reload();
    await page.getByText('is not confirmed yet.').waitFor();
    return (await told.count()) > 0;
  }, 20_000);
  assert.ok(!(await page.content()).includes('mx.internal.example'), 'the mail server’s own words are for operators');
  await assertWcag(page);
  await pictured(page, 'undelivered-desk');
  await page.setViewportSize(PHONE.viewport);
  await told.scrollIntoViewIfNeeded();
  await pictured(page, 'undelivered-phone');

  post.isOpen = true;
  await page.getByRole('button', { name: 'Send the link again' }).click();
  await page.getByRole('button', { name: 'A link is on its way' }).waitFor();
  assert.equal(await told.count(), 0);
  await eventually('the letter', () => post.taken > 0, 20_000);
  assert.equal(post.taken, 1);
  await page.reload();
  await page.getByText('is not confirmed yet.').waitFor();
  assert.equal(await told.count(), 0, 'it was delivered');
});
