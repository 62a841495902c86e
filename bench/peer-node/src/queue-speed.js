// Jobs a second over a Redis, added and run: what `cargo run --example queue_speed` measures of our queues, of Node's BullMQ.
//   node src/queue-speed.js redis://127.0.0.1:6379

import { randomBytes } from 'node:crypto';
import { Queue, Worker } from 'bullmq';

const url = new URL(process.argv[2]);
const connection = { host: url.hostname, port: Number(url.port), maxRetriesPerRequest: null };
const [name, prefix] = ['analytics', 'aim'];
const id = '0199f3d4-7a52-7cc0-8f0d-2a52d6a0a4c1';
const data = { conversationId: id, characterId: id, messageId: id, attempt: 1, premium: false };
const options = { attempts: 1, removeOnComplete: { count: 1000 }, removeOnFail: { count: 5000 } };

const report = (what, jobs, began) =>
  console.log(`${what.padEnd(24)}${Math.round(jobs / ((performance.now() - began) / 1000)).toString().padStart(9)} jobs/s`);

async function add(queue, jobs, atATime) {
  const round = randomBytes(4).toString('hex');
  const began = performance.now();
  const adder = async (lane) => {
    for (let n = 0; n < jobs / atATime; n += 1) await queue.add('reply', data, { ...options, jobId: `${round}-${lane}-${n}` });
  };
  await Promise.all(Array.from({ length: atATime }, (_, lane) => adder(lane)));
  report(`add, ${atATime} at a time`, jobs, began);
}

async function run(jobs, concurrency) {
  const began = performance.now();
  await new Promise((done) => {
    let ran = 0;
    const worker = new Worker(
      name,
      async () => {
        ran += 1;
        if (ran === jobs) {
          report(`run, concurrency ${concurrency}`, jobs, began);
          setImmediate(() => worker.close().then(done));
        }
        return null;
      },
      { connection, prefix, concurrency, lockDuration: 30_000 },
    );
  });
}

const queue = new Queue(name, { connection, prefix });
await queue.waitUntilReady();
for (const [jobs, atATime] of [[5_000, 1], [20_000, 50]]) {
  await add(queue, jobs, atATime);
  await run(jobs, atATime);
}
await queue.close();
