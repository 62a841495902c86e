// The queues as others see them: Node's own BullMQ reads, runs, pauses and schedules what this side wrote, and the other
// way round.

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue, QueueEvents, UnrecoverableError, Worker } from 'bullmq';
import Redis from 'ioredis';
import { Redis as Server } from '../lib/redis.mjs';
import { Peer } from './peer.mjs';

const prefix = 'aim';
const name = 'ai-response';
let server;
let connection;
let queue;
before(async () => {
  server = await Server.start();
  connection = new Redis(server.url, { maxRetriesPerRequest: null });
  queue = new Queue(name, { connection, prefix });
});
beforeEach(() => server.flush());
after(async () => {
  await queue?.close();
  connection?.disconnect();
  await server?.close();
});

async function peer(t) {
  const one = await Peer.start(server.url);
  t.after(() => one.kill());
  return one;
}

async function nodeWorker(t, run, options = {}) {
  const worker = new Worker(name, run, { connection: connection.duplicate(), prefix, drainDelay: 1, ...options });
  await worker.waitUntilReady();
  const close = async () => {
    await worker.close(true);
    worker.opts.connection.disconnect();
  };
  t.after(close);
  return { worker, close };
}

async function eventually(what, holds, ms = 15_000) {
  const deadline = Date.now() + ms;
  for (;;) {
    const held = await holds();
    if (held) return held;
    assert.ok(Date.now() < deadline, `it never came about: ${what}`);
    await sleep(20);
  }
}

const is = (id, state) => eventually(`${id} is ${state}`, async () => {
  const job = await queue.getJob(id);
  return job && (await job.getState()) === state && job;
});

test('our jobs are what Node would have written, and Node runs them', async (t) => {
  const ours = await peer(t);
  const data = { messageId: 'm1', text: 'héllo ✓', nested: [1, { two: null }] };
  assert.equal(await ours.ask('add', name, { id: 'm1-1', data, attempts: 3, backoff: 200, priority: 4 }), 'New');
  assert.equal(await ours.ask('add', name, { id: 'm1-1', data }), 'Known');
  assert.equal(await ours.ask('add', name, { id: 'm2-1', data: {}, delay: 400 }), 'New');
  const job = await queue.getJob('m1-1');
  assert.deepEqual(job.data, data);
  assert.deepEqual(
    [job.name, job.opts.attempts, job.opts.backoff, job.priority, job.opts.removeOnComplete, job.opts.removeOnFail],
    ['work', 3, { type: 'exponential', delay: 200 }, 4, { count: 1000 }, { count: 5000 }],
  );
  assert.deepEqual(await queue.getJobCounts('prioritized', 'delayed', 'waiting'), { prioritized: 1, delayed: 1, waiting: 0 });

  const starts = [];
  await nodeWorker(t, async ({ id, attemptsMade }) => {
    starts.push([id, attemptsMade, Date.now()]);
    if (id === 'm1-1' && attemptsMade < 2) throw new Error('not this time');
    return { by: 'node' };
  });
  await is('m1-1', 'completed');
  await is('m2-1', 'completed');
  const tries = starts.filter(([id]) => id === 'm1-1');
  assert.deepEqual(tries.map(([, attempt]) => attempt), [0, 1, 2]);
  assert.ok(tries[1][2] - tries[0][2] >= 190 && tries[2][2] - tries[1][2] >= 390, 'each wait is twice the one before');
  const seen = await ours.ask('job', name, { id: 'm1-1' });
  assert.deepEqual([seen.state, seen.returned, seen.attemptsMade], ['completed', { by: 'node' }, 3]);
});

test("Node's jobs are run by us, in Node's order, with Node's options", async (t) => {
  const ours = await peer(t);
  const events = new QueueEvents(name, { connection: connection.duplicate(), prefix });
  await events.waitUntilReady();
  t.after(async () => {
    await events.close();
    events.opts.connection.disconnect();
  });
  await queue.pause();
  const last = await queue.add('late', { n: 1 }, { priority: 9 });
  const soon = await queue.add('soon', { n: 2 }, { priority: 2 });
  const numbered = await queue.add('plain', { n: 3 });
  const retried = await queue.add('retried', { fail: 'retry' }, { jobId: 'r-1', attempts: 2, backoff: { type: 'exponential', delay: 100 } });
  const hopeless = await queue.add('hopeless', { fail: 'final' }, { jobId: 'h-1', attempts: 5 });
  await queue.resume();
  await ours.ask('work', name, { concurrency: 1 });
  assert.deepEqual(await numbered.waitUntilFinished(events, 10_000), { by: 'rust', echo: { n: 3 } });
  await assert.rejects(retried.waitUntilFinished(events, 10_000), /not this time/);
  await assert.rejects(hopeless.waitUntilFinished(events, 10_000), /never/);
  await last.waitUntilFinished(events, 10_000);
  const firsts = ours.runs.filter(({ attempt }) => attempt === 1).map(({ id }) => id);
  assert.deepEqual(firsts, [numbered.id, 'r-1', 'h-1', soon.id, last.id]);
  assert.deepEqual(ours.ran('r-1').map(({ attempt }) => attempt), [1, 2]);
  assert.equal(ours.ran('h-1').length, 1, 'a final failure is not retried');
  const failed = await queue.getJob('h-1');
  assert.equal(failed.failedReason, 'never');
  assert.equal(await ours.ask('retry', name, { id: 'h-1' }), true);
  await eventually('it runs again', () => ours.ran('h-1').length === 2);
  assert.equal((await queue.getWorkers()).length, 1, 'our worker is listed');
});

test('a pause holds whoever set it, and is seen by both', async (t) => {
  const ours = await peer(t);
  await ours.ask('work', name, { concurrency: 2 });
  await queue.pause();
  assert.equal(await ours.ask('isPaused', name), true);
  await ours.ask('add', name, { id: 'a-1', data: {} });
  await queue.add('n', {}, { jobId: 'n-1' });
  await sleep(2500);
  assert.deepEqual(ours.runs, []);
  assert.equal((await ours.ask('counts', name)).waiting, 2);
  await queue.resume();
  await is('a-1', 'completed');
  await is('n-1', 'completed');

  await ours.ask('pause', name);
  assert.equal(await queue.isPaused(), true);
  const started = [];
  await nodeWorker(t, async ({ id }) => { started.push(id); });
  await queue.add('n', {}, { jobId: 'n-2' });
  await sleep(1500);
  assert.deepEqual([started, ours.ran('n-2').length], [[], 0]);
  await ours.ask('resume', name);
  assert.equal(await queue.isPaused(), false);
  await is('n-2', 'completed');
});

test('many jobs of both sides run once each, on both', async (t) => {
  const ours = await peer(t);
  const theirs = [];
  await nodeWorker(t, async ({ id }) => { theirs.push(id); await sleep(5); }, { concurrency: 4 });
  await ours.ask('work', name, { concurrency: 4 });
  const adds = [];
  for (let n = 0; n < 150; n += 1) {
    adds.push(ours.ask('add', name, { id: `a-${n}`, data: { takes: 5 } }));
    adds.push(queue.add('n', { takes: 5 }, { jobId: `n-${n}` }));
  }
  await Promise.all(adds);
  await eventually('all are completed', async () => (await queue.getCompletedCount()) === 300);
  const all = [...theirs, ...ours.runs.map(({ id }) => id)];
  assert.deepEqual([all.length, new Set(all).size], [300, 300]);
  assert.ok(theirs.length > 20 && ours.runs.length > 20, `${theirs.length} there, ${ours.runs.length} here`);
});

test('a schedule of ours is run by Node too, and one of Node by us', async (t) => {
  const ours = await peer(t);
  await ours.ask('schedule', name, { every: 300, data: { of: 'rust' } });
  const [scheduler] = await queue.getJobSchedulers();
  assert.deepEqual([scheduler.key, scheduler.every, scheduler.template.data], ['sweep', 300, { of: 'rust' }]);
  const started = [];
  const { close } = await nodeWorker(t, async ({ data }) => { started.push(data); });
  await eventually('Node runs it three times', () => started.length >= 3);
  assert.deepEqual(started[0], { of: 'rust' });
  await close();
  await ours.ask('work', name, { concurrency: 1 });
  await eventually('we run it', () => ours.runs.length >= 2);
  assert.equal(await ours.ask('unschedule', name), true);
  await queue.upsertJobScheduler('theirs', { every: 300 }, { name: 'tick', data: { of: 'node' } });
  await eventually('we run theirs', () => ours.runs.filter(({ name: what }) => what === 'tick').length >= 3);
  await queue.removeJobScheduler('theirs');
});

test('whoever is killed, the other side runs its job', async (t) => {
  const ours = await peer(t);
  await ours.ask('work', name, { concurrency: 1 });
  await ours.ask('add', name, { id: 'a-1', data: { hang: true } });
  await eventually('it runs here', () => ours.ran('a-1').length === 1);
  await ours.kill();
  const started = [];
  const { close } = await nodeWorker(t, async ({ id }) => { started.push(id); }, { lockDuration: 2000, stalledInterval: 1000 });
  await is('a-1', 'completed');
  assert.deepEqual(started, ['a-1']);
  await close();

  const child = fork(new URL('worker.mjs', import.meta.url), [server.url, name]);
  t.after(() => child.kill('SIGKILL'));
  await queue.add('n', {}, { jobId: 'n-1' });
  await eventually('it runs there', async () => (await queue.getJob('n-1')).processedOn && (await queue.getActiveCount()) === 1);
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  const other = await peer(t);
  await other.ask('work', name, { concurrency: 1 });
  await is('n-1', 'completed');
  assert.equal(other.ran('n-1').length, 1);
});

test('what Node fails for good stays failed, and is told to us', async (t) => {
  const ours = await peer(t);
  await nodeWorker(t, async () => { throw new UnrecoverableError('no'); });
  await ours.ask('add', name, { id: 'a-1', data: {}, attempts: 5, backoff: 100 });
  await is('a-1', 'failed');
  const [failed] = await ours.ask('failed', name);
  assert.deepEqual([failed.id, failed.failedReason, failed.attemptsMade], ['a-1', 'no', 1]);
  assert.equal(await ours.ask('remove', name, { id: 'a-1' }), true);
  assert.equal(await queue.getJob('a-1'), undefined);
});
