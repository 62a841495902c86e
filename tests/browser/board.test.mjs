// The board of the queues in a real browser: an admin finds a job that failed, reads why, mends it and runs it again. With
// the queues in the server's own process, and in Redis.
import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from '../lib/redis.mjs';
import { product } from './harness.mjs';

const QUEUES = ['ai-response', 'analytics', 'cleanup', 'email', 'media-processing'];
const API = '/admin/queues/api';

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

/** Makes an admin of somebody; ends when the running server knows it. */
async function makeAdmin(page, username, aim) {
  await aim.command('user', 'set', username, '--role', 'admin');
  for (let n = 0; (await page.request.get(`${API}/queues`)).status() !== 200; n += 1) {
    assert.ok(n < 100, 'the server never learned of the new admin');
    await sleep(50);
  }
}

async function runsAFailedJobAgain(page, username, aim) {
  const elsewhere = [];
  page.on('request', (request) => {
    if (!request.url().startsWith(aim.url) && !request.url().startsWith('data:')) elsewhere.push(request.url());
  });
  await makeAdmin(page, username, aim);
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
}

async function hovered(page, says) {
  for (const button of await page.getByRole('button').filter({ hasNotText: /\w/ }).all()) {
    await button.hover();
    const tip = page.getByText(says, { exact: true });
    if (await tip.waitFor({ timeout: 1_000 }).then(() => true, () => false)) return button;
  }
  throw new Error(`no button says ${says}`);
}

describe('a queue in the server itself', () => {
  const { aim, signedIn } = product({ answers: 'nobody' });
  signedIn('an admin runs a failed job again', (page, { username }) => runsAFailedJobAgain(page, username, aim));
});

describe('a queue in Redis', () => {
  let redis;
  before(async () => {
    redis = await Redis.start();
  });
  const { aim, signedIn } = product({ answers: 'nobody', env: () => ({ AIM_REDIS__URL: redis.url }) });
  after(() => redis?.close());
  signedIn('an admin runs a failed job again', async (page, { username }) => {
    await runsAFailedJobAgain(page, username, aim);
    assert.equal(await redis.command('ZCARD', 'aim:ai-response:completed'), '1');
  });
});
