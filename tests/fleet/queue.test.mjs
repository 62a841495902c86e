// The queue of replies as Node's own BullMQ sees it, while a fleet works on it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue } from 'bullmq';
import Redis from 'ioredis';
import { assertAllAnsweredOnce } from '../contract/checks.mjs';
import { Person, eventually, request } from '../contract/client.mjs';
import { Fleet } from './fleet.mjs';

let fleet;
let connection;
let queue;
before(async () => {
  fleet = await Fleet.start();
  fleet.model.plan = { ...fleet.model.plan, chunks: 3 };
  connection = new Redis(fleet.redis.url, { maxRetriesPerRequest: null });
  queue = new Queue('ai-response', { connection, prefix: 'aim' });
});
after(async () => {
  await queue?.close();
  connection?.disconnect();
  fleet?.assertNobodyFell();
  await fleet?.close();
});

async function person(i) {
  const { url } = fleet.servers[i % fleet.servers.length];
  const username = `q_${Math.random().toString(36).slice(2, 12)}`;
  const { status, body } = await request({ url }, 'POST', '/api/auth/register', { email: `${username}@example.org`, username, password: 'correct horse' });
  assert.equal(status, 201, JSON.stringify(body));
  return new Person({ url, socketUrl: () => url }, body.user, body.token);
}

const stateOf = (one, conversation) => one.must('GET', `/api/conversations/${conversation.id}/state`);

test('BullMQ sees each reply as a job that is done', async () => {
  const ada = await person(0);
  const conversation = await ada.conversation();
  const { body: { message } } = await ada.send(conversation, 'Seen #seen');
  await ada.replyTo(conversation, message.id);
  const job = await eventually('the finished job', async () => {
    const found = await queue.getJob(`${message.id}-1`);
    return found?.finishedOn && found;
  });
  assert.equal(await job.getState(), 'completed');
  assert.equal(job.name, 'reply');
  assert.deepEqual(job.data, {
    conversationId: conversation.id, characterId: conversation.characterId, messageId: message.id, attempt: 1, premium: false,
  });
  assert.deepEqual(job.returnvalue, { outcome: 'done' });
  assert.equal(JSON.stringify(job).includes('Seen'), false, 'a job names no text');
  assert.ok((await queue.getWorkersCount()) >= 1);
});

test('paused from outside, nothing is answered, and states say so; resumed, everything is answered once', async () => {
  await queue.pause();
  assert.equal(await queue.isPaused(), true);
  const people = await Promise.all([0, 1, 2, 3].map(person));
  const talks = await Promise.all(people.map(async (one) => ({ one, conversation: await one.conversation(), accepted: [] })));
  for (const [n, { one, conversation, accepted }] of talks.entries()) {
    for (let i = 0; i < 3; i += 1) {
      const { status, body } = await one.send(conversation, `Wait #pause-${n}-${i}`);
      assert.deepEqual([status, body.state], [202, i ? 'queued' : 'processing']);
      accepted.push(body.message.id);
    }
  }
  const waits = async ({ one, conversation }) => {
    const { state, pending } = await stateOf(one, conversation);
    return state === 'queued' && pending === 2;
  };
  // A server that was kept from Redis for a moment knows of its own lines alone, for that moment.
  const allWait = async () => (await Promise.all(talks.map(waits))).every(Boolean);
  // Longer than reconcilers, stalled checks and renewals take to look.
  const until = Date.now() + 8_000;
  while (Date.now() < until) {
    const counts = await queue.getJobCounts('active', 'waiting', 'paused', 'prioritized', 'delayed');
    assert.equal(counts.active, 0, JSON.stringify(counts));
    await eventually('all to wait, and two behind each first one', allWait, 2_000);
    await sleep(200);
  }
  assert.equal(fleet.model.calls.filter(({ marker }) => marker?.startsWith('#pause-')).length, 0);
  const counts = await queue.getJobCounts('waiting', 'paused', 'prioritized');
  assert.equal(Object.values(counts).reduce((sum, n) => sum + n, 0), talks.length, `one job a free turn: ${JSON.stringify(counts)}`);

  await queue.resume();
  for (const { one, conversation, accepted } of talks) {
    for (const id of accepted) await one.replyTo(conversation, id, 20_000);
    assertAllAnsweredOnce(await one.messages(conversation), accepted);
    await eventually('idle', async () => (await stateOf(one, conversation)).state === 'idle');
  }
  for (const [n] of talks.entries()) {
    for (let i = 0; i < 3; i += 1) assert.equal(fleet.model.callsFor(`#pause-${n}-${i}`).length, 1);
  }
});
