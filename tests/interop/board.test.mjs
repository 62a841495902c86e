// The board of this server beside the original: Bull Board's own server and `/admin/queues` look at the same Redis, show
// the same, and each sees what the other does.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual, promisify } from 'node:util';
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { ExpressAdapter } from '@bull-board/express';
import { FlowProducer, Queue, UnrecoverableError, Worker } from 'bullmq';
import express from 'express';
import Redis from 'ioredis';
import { leasePort } from '../lib/ports.mjs';
import { Redis as Server } from '../lib/redis.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const target = process.env.CARGO_TARGET_DIR ?? path.join(here, '../../target');
const binary = path.resolve(process.env.AIM_BIN ?? path.join(target, 'debug/aim'));
const NAMES = ['ai-response', 'media-processing', 'email', 'analytics', 'cleanup'];
const STATUSES = ['latest', 'active', 'waiting', 'waiting-children', 'prioritized', 'completed', 'failed', 'delayed'];
const name = 'media-processing';

const ends = [];
let queues;
let connection;
let ours;
let original;

before(async () => {
  if (!existsSync(binary)) throw new Error(`${binary} is missing; build it with: cargo build --features local-model`);
  const server = await Server.start();
  ends.push(() => server.close());
  connection = new Redis(server.url, { maxRetriesPerRequest: null });
  ends.push(() => connection.disconnect());
  queues = Object.fromEntries(NAMES.map((queue) => [queue, new Queue(queue, { connection, prefix: 'aim' })]));
  ends.push(() => Promise.all(Object.values(queues).map((queue) => queue.close())));
  original = await startOriginal();
  ours = await startOurs(server.url);
  await startWorker(name);
});

after(async () => {
  for (const end of ends.reverse()) await end();
});

async function work(job) {
  await job.log(`${job.name} begins`);
  await job.updateProgress(50);
  if (job.data.fail) throw new UnrecoverableError('the picture is torn');
  if (job.data.wait) await sleep(300_000, undefined, { ref: false });
  return { done: job.id };
}

async function startWorker(queue) {
  const options = { prefix: 'aim', drainDelay: 1, name: 'node', concurrency: 5 };
  const worker = new Worker(queue, work, { connection: connection.duplicate(), ...options });
  await worker.waitUntilReady();
  ends.push(async () => {
    await worker.close(true);
    worker.opts.connection.disconnect();
  });
}

/** Calls one board: `{ status, body }`. */
const caller = (url, headers = {}) => async (method, at, body) => {
  const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
  const answer = await fetch(`${url}/api${at}`, { method, ...sent, headers: { ...headers, ...sent.headers } });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? {} : JSON.parse(text) };
};

async function startOriginal() {
  const serverAdapter = new ExpressAdapter();
  createBullBoard({ queues: NAMES.map((queue) => new BullMQAdapter(queues[queue])), serverAdapter });
  const app = express();
  app.use('/', serverAdapter.getRouter());
  const listener = await new Promise((ready) => {
    const listener = app.listen(0, '127.0.0.1', () => ready(listener));
  });
  ends.push(() => listener.close());
  return caller(`http://127.0.0.1:${listener.address().port}`);
}

async function startOurs(redis) {
  const port = await leasePort();
  const data = await mkdtemp(path.join(tmpdir(), 'aim-board-'));
  const url = `http://127.0.0.1:${port.number}`;
  const env = {
    ...process.env,
    AIM_HTTP__PORT: String(port.number),
    AIM_DATA__DIR: data,
    AIM_REDIS__URL: redis,
    AIM_AI__PROVIDER: 'openai',
    AIM_AI__BASE_URL: 'http://127.0.0.1:9/v1',
    AIM_AI__MODEL: 'none',
    AIM_LIMITS__MULTIPLIER: '100',
    // Jobs here are the test's own.
    AIM_WORKERS__ENABLED: 'false',
  };
  const child = spawn(binary, ['serve'], { cwd: data, env, stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise((done) => child.once('exit', done));
  ends.push(async () => {
    child.kill('SIGTERM');
    await ended;
    port.release();
    await rm(data, { recursive: true, force: true });
  });
  await eventually('the server is ready', async () => {
    assert.equal(child.exitCode, null, 'the server ended');
    return (await fetch(`${url}/health/live`).catch(() => undefined))?.ok;
  });
  const form = { email: 'mara@example.test', username: 'mara', password: 'correct horse' };
  const sent = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(form) };
  const { token } = await (await fetch(`${url}/api/auth/register`, sent)).json();
  await promisify(execFile)(binary, ['user', 'set', 'mara', '--role', 'admin'], { cwd: data, env });
  const call = caller(`${url}/admin/queues`, { authorization: `Bearer ${token}` });
  await eventually('she is an admin', async () => (await call('GET', '/queues')).status === 200);
  return call;
}

async function eventually(what, holds, ms = 15_000) {
  const deadline = Date.now() + ms;
  for (;;) {
    const held = await holds();
    if (held) return held;
    assert.ok(Date.now() < deadline, `it never came about: ${typeof what === 'function' ? what() : what}`);
    await sleep(20);
  }
}

const is = (id, state, queue = name) => eventually(`${id} of ${queue} is ${state}`, async () => {
  const job = await queues[queue].getJob(id);
  return job && (await job.getState()) === state;
});

/** Both boards' answer to the same question, once they agree; workers and their clients come and go meanwhile. */
async function same(at) {
  const [theirs, own] = await Promise.all([original('GET', at), ours('GET', at)]);
  assert.deepEqual(own, theirs, at);
  return own.body;
}

test('both boards show the same counts, jobs, logs and schedules', async () => {
  const queue = queues[name];
  await queue.add('scale', { file: 'a.png' }, { jobId: 'fine' });
  await queue.add('scale', { file: 'b.png', fail: true }, { jobId: 'torn', attempts: 3, backoff: { type: 'fixed', delay: 50 } });
  await is('fine', 'completed');
  await is('torn', 'failed');
  await queue.add('scale', { wait: true }, { jobId: 'busy', keepLogs: 5 });
  await is('busy', 'active');
  await queue.pause();
  for (let n = 0; n < 12; n += 1) await queue.add('scale', { n }, { jobId: `plain-${n}` });
  await queue.add('scale', { nested: { list: [1, null, 'é'] } }, { jobId: 'urgent', priority: 3 });
  await queue.add('scale', {}, { jobId: 'later', delay: 600_000, removeOnComplete: 10 });
  await queue.upsertJobScheduler('nightly', { pattern: '0 3 * * *', tz: 'Europe/Berlin' }, { name: 'sweep', data: { deep: true } });
  await queue.upsertJobScheduler('often', { every: 600_000 }, { name: 'look', opts: { attempts: 2 } });
  await queue.setGlobalConcurrency(7);

  for (const status of STATUSES) {
    for (const page of [1, 2]) {
      const { queues: shown } = await same(`/queues?activeQueue=${name}&status=${status}&page=${page}&jobsPerPage=5`);
      assert.deepEqual(shown.map((one) => one.name), NAMES);
      const open = shown.find((one) => one.name === name);
      assert.ok(open.isPaused && open.globalConcurrency === 7 && open.counts.waiting === 13, JSON.stringify(open));
    }
  }
  for (const id of ['fine', 'torn', 'busy', 'plain-3', 'urgent', 'later']) {
    const { job } = await same(`/queues/${name}/${id}`);
    assert.equal(job.id, id);
    await same(`/queues/${name}/${id}/logs`);
  }
  const { job: torn } = await same(`/queues/${name}/torn`);
  assert.match(torn.stacktrace[0], /UnrecoverableError: the picture is torn\n +at /);
  const { schedulers } = await same(`/job-schedulers?queueName=${name}`);
  assert.deepEqual(schedulers.map((one) => one.id).sort(), ['nightly', 'often']);
  for (const at of ['metrics', 'rate-limit', 'workers']) await same(`/queues/${name}/${at}`);
  for (const wrong of ['/queues/none/workers', `/queues/${name}/none`]) await same(wrong);
  const [theirs, own] = await Promise.all([original('GET', '/redis/stats'), ours('GET', '/redis/stats')]);
  assert.deepEqual(Object.keys(own.body).sort(), Object.keys(theirs.body).sort());
  assert.deepEqual([own.body.version, own.body.port], [theirs.body.version, theirs.body.port]);
});

test('each sees what was ordered at the other', async () => {
  const status = async (call, id) => (await call('GET', `/queues/${name}/${id}`)).body.status;
  assert.equal((await ours('PUT', `/queues/${name}/later/promote`)).status, 204);
  assert.equal(await status(original, 'later'), 'waiting');
  assert.equal((await ours('PATCH', `/queues/${name}/plain-1/priority`, { priority: 9 })).status, 200);
  assert.equal(await status(original, 'plain-1'), 'prioritized');
  assert.equal((await ours('PUT', `/queues/${name}/plain-2/clean`)).status, 204);
  assert.equal((await original('GET', `/queues/${name}/plain-2`)).status, 404);
  const added = await ours('POST', `/queues/${name}/add`, { name: 'scale', data: { by: 'hand' }, options: { jobId: 'added' } });
  assert.deepEqual([added.status, added.body.job.data, await status(original, 'added')], [200, { by: 'hand' }, 'waiting']);
  // Both refuse alike what makes no sense.
  for (const [method, at, body] of [
    ['PUT', 'later/retry'],
    ['PATCH', 'plain-1/delay', { runAt: Date.now() + 1_000 }],
    ['PATCH', 'plain-1/priority', { priority: -1 }],
    ['PUT', 'retry/waiting'],
    ['PUT', 'rate-limit', { max: 0, duration: 1 }],
    ['PUT', 'concurrency', { concurrency: -1 }],
    ['PUT', 'busy/clean'],
    ['PUT', 'obliterate', { force: false }],
    ['PATCH', 'job-schedulers/often', { every: 5, pattern: '* * * * *' }],
    ['PATCH', 'job-schedulers/often', { pattern: 'now and then' }],
    ['PUT', 'job-schedulers/none/remove'],
  ]) {
    const theirs = await original(method, `/queues/${name}/${at}`, body);
    const own = await ours(method, `/queues/${name}/${at}`, body);
    assert.deepEqual([own.status, own.body.error], [theirs.status, theirs.body.error], `${method} ${at}`);
  }
  const next = (await ours('GET', `/job-schedulers?queueName=${name}`)).body.schedulers.find((one) => one.id === 'nightly');
  const run = `/queues/${name}/${encodeURIComponent(next.nextRunJobId)}/clean`;
  const [theirs, own] = [await original('PUT', run), await ours('PUT', run)];
  assert.deepEqual(own, theirs, 'the next run of a schedule stays');

  assert.equal((await ours('PATCH', `/queues/${name}/job-schedulers/often`, { every: 900_000 })).status, 204);
  await same(`/job-schedulers?queueName=${name}`);
  assert.equal((await ours('PUT', `/queues/${name}/job-schedulers/often/run`)).status, 200);
  assert.equal((await original('PUT', `/queues/${name}/torn/retry`)).status, 204);
  assert.equal(await status(ours, 'torn'), 'waiting');
  assert.equal((await original('PUT', `/queues/${name}/resume`)).status, 200);
  await is('torn', 'failed');
  await is('added', 'completed');
  await eventually('both agree when all is done', async () => {
    const at = `/queues?activeQueue=${name}&status=completed`;
    const [theirs, own] = await Promise.all([original('GET', at), ours('GET', at)]);
    return isDeepStrictEqual(own, theirs);
  });
  assert.deepEqual((await ours('PUT', `/queues/${name}/retry/failed`)).body, { retried: 1, skipped: 0 });
});

/** As `same`, where the server itself may add something between the two answers. */
async function agreed(at) {
  let last;
  await eventually(() => `both boards agree on ${at}: ${JSON.stringify(last)}`, async () => {
    last = await Promise.all([original('GET', at), ours('GET', at)]);
    return isDeepStrictEqual(last[1], last[0]);
  });
  return last[1].body;
}

test('both boards show the same of all five queues at once, whatever state each is in', async () => {
  const others = NAMES.filter((queue) => queue !== name);
  for (const queue of others) await startWorker(queue);
  // Each has other numbers, so that one shown for another is seen.
  const plan = Object.fromEntries(NAMES.map((queue, n) => [queue, { completed: n + 1, failed: 5 - n, active: 1 + (n % 2), waiting: 2 * n + 1, prioritized: n + 2, delayed: 6 - n }]));
  for (const queue of NAMES) {
    const { completed, failed, active } = plan[queue];
    const add = (id, data, more) => queues[queue].add(`kind of ${queue}`, { queue, ...data }, { jobId: `five-${id}`, ...more });
    for (let n = 0; n < completed; n += 1) await add(`fine-${n}`, { n });
    for (let n = 0; n < failed; n += 1) await add(`torn-${n}`, { fail: true }, { attempts: 2 });
    for (let n = 0; n < completed; n += 1) await is(`five-fine-${n}`, 'completed', queue);
    for (let n = 0; n < failed; n += 1) await is(`five-torn-${n}`, 'failed', queue);
    for (let n = 0; n < active; n += 1) await add(`busy-${n}`, { wait: true });
    for (let n = 0; n < active; n += 1) await is(`five-busy-${n}`, 'active', queue);
    await queues[queue].pause();
    for (let n = 0; n < plan[queue].waiting; n += 1) await add(`plain-${n}`, { n });
    for (let n = 0; n < plan[queue].prioritized; n += 1) await add(`urgent-${n}`, { n }, { priority: 1 + (n % 3) });
    for (let n = 0; n < plan[queue].delayed; n += 1) await add(`later-${n}`, { n }, { delay: 600_000 + n });
    await queues[queue].upsertJobScheduler(`five-${queue}`, { pattern: '30 4 * * 1' }, { name: 'weekly', data: { queue } });
  }
  // One that waits for another queue's.
  const flow = new FlowProducer({ connection, prefix: 'aim' });
  ends.push(() => flow.close());
  await flow.add({ name: 'reply', queueName: 'ai-response', opts: { jobId: 'five-parent' }, children: [{ name: 'mail', queueName: 'email', opts: { jobId: 'five-child' } }] });
  await is('five-parent', 'waiting-children', 'ai-response');

  for (const queue of NAMES) {
    for (const status of STATUSES) {
      const { queues: shown } = await agreed(`/queues?activeQueue=${queue}&status=${status}&page=1&jobsPerPage=50`);
      assert.deepEqual(shown.map((one) => one.name), NAMES);
      const listed = shown.find((one) => one.name === queue).jobs;
      if (status in plan[queue]) {
        const own = listed.filter(({ id }) => id.startsWith('five-'));
        // The child of the flow is one more that waits.
        const extra = queue === 'email' && status === 'waiting' ? 1 : 0;
        assert.equal(own.length, plan[queue][status] + extra, `${queue}, ${status}: ${own.map(({ id }) => id)}`);
      }
    }
    for (const id of ['fine-0', 'torn-0', 'busy-0', 'plain-0', 'urgent-1', 'later-0']) {
      const { job } = await agreed(`/queues/${queue}/five-${id}`);
      assert.deepEqual([job.id, job.name, job.data.queue], [`five-${id}`, `kind of ${queue}`, queue]);
      await agreed(`/queues/${queue}/five-${id}/logs`);
    }
    const { schedulers } = await agreed(`/job-schedulers?queueName=${queue}`);
    assert.ok(schedulers.some(({ id }) => id === `five-${queue}`), JSON.stringify(schedulers));
    for (const at of ['metrics', 'rate-limit', 'workers']) await agreed(`/queues/${queue}/${at}`);
  }
  const { queues: shown } = await agreed('/queues');
  for (const { name: queue, counts, isPaused } of shown) {
    assert.ok(isPaused, queue);
    for (const [state, count] of Object.entries(plan[queue])) assert.ok(counts[state] >= count, `${queue}, ${state}: ${counts[state]} of ${count}`);
  }
  assert.equal(shown.find((one) => one.name === 'ai-response').counts['waiting-children'], 1);
});
