// Ten thousand jobs of four queues, while a worker, then Redis, then another worker is killed: every job has its effect,
// once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { eventually } from '../contract/client.mjs';
import { PostOffice } from '../mail/post.mjs';
import { Fleet } from './fleet.mjs';
import { Traffic } from './faults/traffic.mjs';
import { everyMessageIsStoredAndAnsweredOnce, quiet } from './faults/promises.mjs';
import { Mails, Messages, Samples, Uploads } from './mixed.mjs';

const all = 10_000;
const messages = 1_000;
const uploads = 200;
const mails = 200;
const samples = all - messages - uploads - mails;
/** After each kill. */
const recoveryMs = 60_000;
/** Longer than a lost job takes to be found and run: one that is lost twice fails. */
const betweenKillsMs = 25_000;
const QUEUES = ['ai-response', 'media-processing', 'email', 'analytics', 'cleanup'];

/**
 * Waits until all that was accepted by now has its effect, whatever else is added and killed meanwhile; answers how long
 * after the kill that was, in ms.
 */
async function recovery(kinds, after) {
  const killed = performance.now();
  const accepted = kinds.map((kind) => kind.accepted());
  let missing = [];
  await eventually(() => `recovery from ${after}; without effect are ${missing.join(', ')} of ${kinds.map((kind) => kind.constructor.name)}`, async () => {
    await sleep(1_000);
    missing = await Promise.all(kinds.map((kind, i) => kind.missing(accepted[i])));
    return missing.every((count) => count === 0);
  }, recoveryMs);
  return { after, ms: Math.round(performance.now() - killed) };
}

test('ten thousand jobs have ten thousand effects, whatever is killed meanwhile', async (t) => {
  const post = await PostOffice.start();
  t.after(() => post.close());
  const { AIM_MAIL__URL, AIM_MAIL__FROM, AIM_MAIL__PUBLIC_URL } = post.env;
  const env = { AIM_MAIL__URL, AIM_MAIL__FROM, AIM_MAIL__PUBLIC_URL };
  const fleet = await Fleet.start({ servers: 1, workers: 2, redis: { persistent: true }, network: false, env, server: { AIM_WORKERS__ENABLED: 'false' } });
  t.after(() => fleet.close());
  fleet.model.plan = { ...fleet.model.plan, chunks: 2, firstMs: 5, delayMs: 5 };
  const traffic = await Traffic.begin(fleet, { people: 8, characters: 40, talksEach: 5 });
  t.after(() => traffic.close());
  const connection = { host: '127.0.0.1', port: fleet.redis.port, maxRetriesPerRequest: null };
  const queues = Object.fromEntries(QUEUES.map((name) => [name, new Queue(name, { connection, prefix: 'aim' })]));
  for (const queue of Object.values(queues)) {
    queue.on('error', () => {});
    t.after(() => queue.close());
  }
  const sampled = new Samples(fleet, queues.analytics, samples);
  const uploaded = new Uploads(fleet, traffic.people[0], uploads);
  const mailed = new Mails(fleet, post, mails, { slowMs: 300 });
  const told = new Messages(fleet, traffic, messages);
  const kinds = [sampled, uploaded, mailed, told];

  // All go on until the last kill.
  const adding = Promise.all([
    sampled.add({ atOnce: 500, everyMs: 1_500 }),
    uploaded.add({ everyMs: 100 }),
    mailed.add({ everyMs: 100 }),
    told.add({ atOnce: 200, everyMs: 6_000 }),
  ]);
  const recoveries = [];
  const killed = (what) => {
    const recovered = recovery(kinds, what);
    // Looked at in the end; until then a failure is nobody's.
    recovered.catch(() => {});
    recoveries.push(recovered);
  };

  await sleep(1_000);
  await fleet.workers[0].kill();
  killed('the kill of a worker');
  const noted = [mailed.noteKill()];
  await fleet.workers[0].start();
  await sleep(betweenKillsMs / 2);
  await fleet.redis.kill();
  killed('the kill of Redis');
  await sleep(2_000);
  await fleet.redis.restart();
  await sleep(betweenKillsMs / 2);
  await fleet.workers[1].kill();
  killed('the kill of another worker');
  const last = performance.now();
  noted.push(mailed.noteKill());
  await fleet.workers[1].start();
  await Promise.all([adding, ...noted]);
  t.diagnostic(`all was added ${Math.round(performance.now() - last)} ms after the last kill`);
  await recovery(kinds, 'all of it');
  await traffic.stop();
  const found = await quiet(traffic);
  const recovered = performance.now() - last;
  assert.ok(recovered < recoveryMs, `all was done ${Math.round(recovered)} ms after the last kill`);
  for (const { after, ms } of await Promise.all(recoveries)) {
    assert.ok(ms < recoveryMs, `${ms} ms after ${after}`);
    t.diagnostic(`what was under way was done ${ms} ms after ${after}`);
  }

  assert.equal(traffic.sent.length, messages);
  everyMessageIsStoredAndAnsweredOnce(found);
  await sampled.check();
  await uploaded.check();
  const doubtful = await mailed.check();
  t.diagnostic(`${doubtful.length} of ${mails} mails are in doubt`);

  const left = async () => Object.fromEntries(await Promise.all(QUEUES.map(async (name) => [
    name, await queues[name].getJobCounts('waiting', 'active', 'prioritized', 'paused', 'waiting-children'),
  ])));
  let counts;
  await eventually(() => `nothing is left in any queue: ${JSON.stringify(counts)}`, async () => {
    counts = await left();
    return Object.values(counts).every((one) => Object.values(one).every((count) => count === 0));
  }, recoveryMs);
  for (const [name, queue] of Object.entries(queues)) {
    // What is done again and again has its next run there, and who has left a reply unread is told of it in some minutes.
    const late = (await queue.getDelayed()).filter(({ repeatJobKey, data }) => !repeatJobKey && data.kind !== 'reply-waiting');
    assert.deepEqual(late.map(({ id }) => id), [], `${name} has jobs that wait for something`);
    const failed = (await queue.getFailed()).filter(({ data }) => !doubtful.includes(data.mailId));
    assert.deepEqual(failed.map(({ id, failedReason }) => [id, failedReason]), [], `${name} has jobs that failed`);
  }
  fleet.assertNobodyFell();
  t.diagnostic(`all was done ${Math.round(recovered)} ms after the last kill`);
});
