// More workers give more replies: what a slow model leaves to do is divided among them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { everyMessageIsStoredAndAnsweredOnce, quiet, theModelIsPaidOnce } from './faults/promises.mjs';
import { Traffic } from './faults/traffic.mjs';
import { Fleet } from './fleet.mjs';

const concurrency = 4;
const messages = 40;
/** From the question to the end of the answer, in ms. */
const answerMs = 600;

/** The most calls of the model at a time. */
function mostAtOnce(calls) {
  const edges = calls.flatMap(({ at, endedAt }) => [[at, 1], [endedAt, -1]]).toSorted(([a, up], [b, down]) => a - b || up - down);
  let [now, most] = [0, 0];
  for (const [, step] of edges) {
    now += step;
    most = Math.max(most, now);
  }
  return most;
}

test('two workers give nearly twice the replies of one', async (t) => {
  const fleet = await Fleet.start({
    servers: 1,
    workers: 1,
    server: { AIM_WORKERS__ENABLED: 'false' },
    worker: { AIM_WORKERS__CONCURRENCY: String(concurrency) },
    env: { AIM_AI__REPLIES_PER_CHARACTER: '50' },
  });
  t.after(() => fleet.close());
  fleet.model.plan = { ...fleet.model.plan, chunks: 3, firstMs: answerMs - 200, delayMs: 100 };
  const traffic = await Traffic.begin(fleet, { people: 8, characters: 8, talksEach: 5 });
  t.after(() => traffic.close());

  /** Replies a second, from the first question to the last answer. */
  const measured = async () => {
    const before = fleet.model.calls.length;
    await traffic.burst(messages);
    await quiet(traffic);
    const calls = fleet.model.calls.slice(before);
    assert.equal(calls.length, messages);
    const took = Math.max(...calls.map(({ endedAt }) => endedAt)) - Math.min(...calls.map(({ at }) => at));
    return { rate: messages / (took / 1_000), atOnce: mostAtOnce(calls) };
  };
  const one = await measured();
  await fleet.addWorker();
  const two = await measured();
  t.diagnostic(`one worker: ${one.rate.toFixed(1)} replies a second, ${one.atOnce} at a time; two: ${two.rate.toFixed(1)}, ${two.atOnce} at a time`);
  assert.equal(one.atOnce, concurrency);
  assert.equal(two.atOnce, 2 * concurrency);
  assert.ok(two.rate >= 1.5 * one.rate, `${two.rate.toFixed(1)} replies a second by two, ${one.rate.toFixed(1)} by one`);

  const found = await quiet(traffic);
  everyMessageIsStoredAndAnsweredOnce(found);
  theModelIsPaidOnce(traffic);
  fleet.assertNobodyFell();
});
