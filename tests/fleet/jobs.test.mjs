// Ten thousand jobs of several kinds, while a worker, then Redis, then another worker is killed: every job has its effect,
// once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { eventually } from '../contract/client.mjs';
import { Fleet } from './fleet.mjs';
import { Traffic } from './faults/traffic.mjs';
import { everyMessageIsStoredAndAnsweredOnce, quiet } from './faults/promises.mjs';

const samples = 9_000;
const messages = 1_000;
/** After the last kill. */
const recoveryMs = 60_000;
/** Longer than a lost job takes to be found and run: one that is lost twice fails. */
const betweenKillsMs = 25_000;

/** One process's figures of one minute: a row of its own, which counts once however often its job runs. */
const sample = (n) => ({
  name: 'sample',
  data: {
    server: `server-${n % 90}`,
    at: new Date(Date.UTC(2026, 0, 1) + Math.floor(n / 90) * 60_000).toISOString(),
    figures: { counts: { 'cache-asked': n + 1 }, times: {} },
  },
  opts: { jobId: `mixed-${n}`, attempts: 8, backoff: { type: 'exponential', delay: 500 }, removeOnComplete: { count: 1_000 }, removeOnFail: { count: 5_000 } },
});

test('ten thousand jobs have ten thousand effects, whatever is killed meanwhile', async (t) => {
  const fleet = await Fleet.start({ servers: 1, workers: 2, redis: { persistent: true }, network: false, server: { AIM_WORKERS__ENABLED: 'false' } });
  t.after(() => fleet.close());
  fleet.model.plan = { ...fleet.model.plan, chunks: 2, firstMs: 5, delayMs: 5 };
  const traffic = await Traffic.begin(fleet, { people: 8, characters: 40, talksEach: 5 });
  t.after(() => traffic.close());
  const queue = new Queue('analytics', { connection: { host: '127.0.0.1', port: fleet.redis.port, maxRetriesPerRequest: null }, prefix: 'aim' });
  queue.on('error', () => {});
  t.after(() => queue.close());

  // Both go on until the last kill.
  const adding = (async () => {
    for (let n = 0; n < samples; n += 500) {
      const jobs = Array.from({ length: Math.min(500, samples - n) }, (_, i) => sample(n + i));
      // What was added before the answer was lost is known by its id.
      for (let added = false; !added;) {
        added = await queue.addBulk(jobs).then(() => true, () => sleep(200));
      }
      await sleep(1_500);
    }
  })();
  const talking = (async () => {
    for (let sent = 0; sent < messages; sent += 200) {
      await traffic.burst(200);
      await sleep(6_000);
    }
  })();

  await sleep(1_000);
  await fleet.workers[0].kill();
  await fleet.workers[0].start();
  await sleep(betweenKillsMs / 2);
  await fleet.redis.kill();
  await sleep(2_000);
  await fleet.redis.restart();
  await sleep(betweenKillsMs / 2);
  await fleet.workers[1].kill();
  const killed = performance.now();
  await fleet.workers[1].start();
  await Promise.all([adding, talking]);

  const stored = async () => Number((await fleet.query("SELECT count(*) FROM samples WHERE server LIKE 'server-%'")).trim());
  let there = 0;
  await eventually(() => `all samples; ${there} of ${samples} are there`, async () => {
    there = await stored();
    return there === samples;
  }, recoveryMs);
  await traffic.stop();
  const found = await quiet(traffic);
  const recovered = performance.now() - killed;
  assert.ok(recovered < recoveryMs, `all was done ${Math.round(recovered)} ms after the last kill`);

  assert.equal(traffic.sent.length, messages);
  everyMessageIsStoredAndAnsweredOnce(found);
  const sum = await fleet.query("SELECT sum((body::json->'counts'->>'cache-asked')::bigint) FROM samples WHERE server LIKE 'server-%'");
  assert.equal(Number(sum.trim()), (samples * (samples + 1)) / 2, 'each effect is its own job’s');
  const counts = await eventually('nothing is left in the queue', async () => {
    const left = await queue.getJobCounts('waiting', 'active', 'prioritized', 'failed');
    return left.waiting + left.active + left.prioritized === 0 && left;
  }, recoveryMs);
  assert.equal(counts.failed, 0);
  fleet.assertNobodyFell();
  t.diagnostic(`all was done ${Math.round(recovered)} ms after the last kill`);
});
