// The board of the queues in a real browser: an admin finds a job that failed, reads why, mends it and runs it again. With
// the queues in the server's own process, and in Redis.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from '../lib/redis.mjs';
import { requireProduct, startAim } from './aim.mjs';
import { launchChromium, openPage, register } from './chromium.mjs';

const QUEUES = ['ai-response', 'analytics', 'cleanup', 'email', 'media-processing'];
const API = '/admin/queues/api';
// Nobody answers a message here: no model is needed.
const WITHOUT_MODEL = { AIM_AI__PROVIDER: 'openai', AIM_AI__BASE_URL: 'http://127.0.0.1:9/v1', AIM_AI__MODEL: 'none' };

let browser;

before(async () => {
  requireProduct({ answers: false });
  browser = await launchChromium();
});

after(() => browser?.close());

/** Tells the board's API something from within the page, as the page itself does. */
function tell(page, method, path, body) {
  return page.evaluate(
    async ([method, url, body]) => {
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(url, { method, headers, body: JSON.stringify(body) });
      return answer.status;
    },
    [method, `${API}${path}`, body],
  );
}

/** Registers somebody and makes an admin of them; ends when the running server knows it. */
async function admin(page, aim) {
  const username = await register(page);
  await aim.command('user', 'set', username, '--role', 'admin');
  for (let n = 0; (await page.request.get(`${API}/queues`)).status() !== 200; n += 1) {
    assert.ok(n < 100, 'the server never learned of the new admin');
    await sleep(50);
  }
}

async function runsAFailedJobAgain(aim) {
  const { page, close } = await openPage(browser, aim.url);
  const elsewhere = [];
  page.on('request', (request) => {
    if (!request.url().startsWith(aim.url) && !request.url().startsWith('data:')) elsewhere.push(request.url());
  });
  try {
    await admin(page, aim);
    await page.goto('/admin/queues');
    for (const queue of QUEUES) await page.getByRole('link', { name: queue, exact: true }).first().waitFor();
    const wrong = { name: 'reply', data: { conversationId: 7 }, options: { jobId: 'odd-1' } };
    assert.equal(await tell(page, 'POST', '/queues/ai-response/add', wrong), 200);

    await page.getByRole('link', { name: 'ai-response', exact: true }).first().click();
    await page.getByRole('link', { name: /^failed/i }).click();
    await page.waitForURL('**/queue/ai-response?status=failed*');
    await page.getByText('odd-1').first().click();
    await page.waitForURL('**/queue/ai-response/odd-1*');
    await page.getByText("the job's data name no turn").waitFor();
    await page.getByText('Logs', { exact: true }).click();
    await page.getByText('run 1 of 1 failed').waitFor();

    const turn = { conversationId: 'c1', characterId: 'mara', messageId: 'm1', attempt: 1 };
    assert.equal(await tell(page, 'PATCH', '/queues/ai-response/odd-1/update-data', { jobData: turn }), 200);
    // The board's buttons are icons, told by what they say when the mouse is over them.
    const retry = await hovered(page, 'Retry');
    await retry.click();
    const sure = page.getByRole('button', { name: /^(confirm|yes|ok)/i });
    if (await sure.waitFor({ timeout: 2_000 }).then(() => true, () => false)) await sure.click();
    await page.getByText('Finished at').waitFor();
    const shown = await (await page.request.get(`${API}/queues/ai-response/odd-1`)).json();
    assert.deepEqual([shown.status, shown.job.attempts, shown.job.data], ['completed', 2, turn]);
    assert.deepEqual(elsewhere, [], 'all came from here');
  } catch (error) {
    error.message += `\nat ${page.url()}; the server said last:\n${aim.log().slice(-1_500)}`;
    throw error;
  } finally {
    await close();
  }
}

async function hovered(page, says) {
  for (const button of await page.getByRole('button').filter({ hasNotText: /\w/ }).all()) {
    await button.hover();
    const tip = page.getByText(says, { exact: true });
    if (await tip.waitFor({ timeout: 1_000 }).then(() => true, () => false)) return button;
  }
  throw new Error(`no button says ${says}`);
}

test('an admin runs a failed job again that waited in the server itself', { timeout: 120_000 }, async () => {
  const aim = await startAim(WITHOUT_MODEL);
  try {
    await runsAFailedJobAgain(aim);
  } finally {
    await aim.stop();
  }
});

test('an admin runs a failed job again that waited in Redis', { timeout: 120_000 }, async () => {
  const redis = await Redis.start();
  const aim = await startAim({ ...WITHOUT_MODEL, AIM_REDIS__URL: redis.url });
  try {
    await runsAFailedJobAgain(aim);
    assert.equal(await redis.command('ZCARD', 'aim:ai-response:completed'), '1');
  } finally {
    await aim.stop();
    await redis.close();
  }
});
