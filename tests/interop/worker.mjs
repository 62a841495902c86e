// A worker of Node's in a process of its own, to be killed: `node worker.mjs URL QUEUE`.

import { Worker } from 'bullmq';
import Redis from 'ioredis';

const [url, queue] = process.argv.slice(2);
const connection = new Redis(url, { maxRetriesPerRequest: null });
const run = async (job) => {
  process.send({ ran: job.id });
  await new Promise(() => {});
};
const worker = new Worker(queue, run, { connection, prefix: 'aim', lockDuration: 2000, stalledInterval: 1000 });
await worker.waitUntilReady();
process.send({ ready: true });
