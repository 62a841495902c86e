// Ten thousand jobs of four queues, while a worker, then Redis, then another worker is killed: every job has its effect,
// once.
//
// A job that was lost with who ran it is run once more, and fails when that run is lost too: so nothing is killed before
// all that went with the one before has been run again.

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
/** A lost job is found within 15 s: its lock lives for 10, and is looked at every 5. */
const lostMs = 60_000;
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

/** The jobs that are being run, of all queues, as `{queue, id}`. */
async function underWay(queues) {
  const active = await Promise.all(queues.map(async (queue) => (await queue.getActive()).filter(Boolean).map(({ id }) => ({ queue, id }))));
  return active.flat();
}

const described = (queue, { id, name, attemptsMade, stalledCounter, failedReason }) => (
  `${queue.name} ${id} (${name}), run ${attemptsMade} times and lost ${stalledCounter}, ${failedReason ?? 'not failed'}`
);

/** Waits until each of `jobs` has ended, whoever ran it in the end. */
async function haveEnded(jobs, after) {
  let left = jobs;
  await eventually(() => `the end of what was under way at ${after}: ${left.map(({ queue, id }) => `${queue.name} ${id}`).join(', ')}`, async () => {
    await sleep(250);
    const states = await Promise.all(left.map(({ queue, id }) => queue.getJobState(id)));
    left = left.filter((_, i) => !['completed', 'failed', 'unknown'].includes(states[i]));
    return left.length === 0;
  }, lostMs);
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
  const everyQueue = Object.values(queues);

  // All go on until the last kill, some 15 to 35 s from here.
  const adding = Promise.all([
    sampled.add({ atOnce: 500, everyMs: 1_600 }),
    uploaded.add({ everyMs: 120 }),
    mailed.add({ everyMs: 120 }),
    told.add({ atOnce: 200, everyMs: 6_000 }),
  ]);
  // Waited for below.
  adding.catch(() => {});
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
  const first = await underWay(everyQueue);
  await fleet.workers[0].start();
  await haveEnded(first, 'the kill of a worker');
  await fleet.redis.kill();
  killed('the kill of Redis');
  await sleep(2_000);
  await fleet.redis.restart();
  // Who ran them could not say that they had ended.
  await haveEnded(await underWay(everyQueue), 'the kill of Redis');
  await fleet.workers[1].kill();
  killed('the kill of another worker');
  const last = performance.now();
  noted.push(mailed.noteKill());
  await fleet.workers[1].start();
  await Promise.all([adding, ...noted]);
  const added = performance.now();
  t.diagnostic(`all was added ${Math.round(added - last)} ms after the last kill`);
  await recovery(kinds, 'all of it');
  await traffic.stop();
  const found = await quiet(traffic);
  const recovered = performance.now() - added;
  assert.ok(recovered < recoveryMs, `all was done ${Math.round(recovered)} ms after the last of it was added`);
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

  // What is done again and again has its next run there, and who has left a reply unread is told of it in some minutes.
  const isLater = ({ repeatJobKey, data }) => Boolean(repeatJobKey) || data.kind === 'reply-waiting';
  let left;
  await eventually(() => `the end of ${left.length} jobs: ${left.slice(0, 20).join('; ')}`, async () => {
    left = (await Promise.all(everyQueue.map(async (queue) => {
      const jobs = await queue.getJobs(['waiting', 'active', 'prioritized', 'paused', 'waiting-children', 'delayed']);
      return jobs.filter((job) => job && !isLater(job)).map((job) => described(queue, job));
    }))).flat();
    return left.length === 0;
  }, recoveryMs);
  const failed = (await Promise.all(everyQueue.map(async (queue) => {
    const jobs = await queue.getFailed();
    return jobs.filter(({ data }) => !doubtful.includes(data.mailId)).map((job) => described(queue, job));
  }))).flat();
  assert.equal(failed.length, 0, `${failed.length} jobs failed: ${failed.slice(0, 20).join('; ')}`);
  fleet.assertNobodyFell();
  t.diagnostic(`all was done ${Math.round(recovered)} ms after the last of it was added`);
});
