// Workers of other programs on `ai-response`: the example in Node generates, the server that added the job claims and
// commits. Where the example does too well, a worker of this test's own does what it should not.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue, Worker } from 'bullmq';
import Redis from 'ioredis';
import { Person, eventually, request } from '../contract/client.mjs';
import { piecesFor } from '../contract/model.mjs';
import { Fleet } from '../fleet/fleet.mjs';
import { Example } from '../lib/example.mjs';

const patience = 20_000;
let fleet;
let queue;
let connection;

/** No server has a model of its own: what is answered, a worker has answered. */
const alone = { AIM_AI__PROVIDER: 'local', AIM_AI__BASE_URL: '', AIM_AI__MODEL: '', AIM_AI__LOCAL__MODEL_PATH: 'nowhere.gguf' };

before(async () => {
  fleet = await Fleet.start({
    servers: 2, workers: 1,
    env: { ...alone, AIM_WORKERS__FOREIGN: 'ai-response', AIM_SERVER__LEASE: '2s', AIM_AI__REPLIES_PER_CHARACTER: '50' },
    server: { AIM_WORKERS__ENABLED: 'false' },
  });
  connection = new Redis(fleet.redis.url, { maxRetriesPerRequest: null });
  queue = new Queue('ai-response', { connection, prefix: 'aim' });
});

after(async () => {
  await queue?.close();
  connection?.disconnect();
  await fleet?.close();
});

async function example(t, env = {}) {
  const worker = await Example.start('node', {
    REDIS_URL: fleet.redis.url, OPENAI_BASE_URL: fleet.model.url, OPENAI_MODEL: 'stub', LOCK_DURATION: '1500', ...env,
  });
  t.after(() => worker.close());
  return worker;
}

/** A worker of this test's own. */
async function own(t, processor) {
  const line = new Redis(fleet.redis.url, { maxRetriesPerRequest: null });
  const worker = new Worker('ai-response', processor, { connection: line, prefix: 'aim', lockDuration: 1500, stalledInterval: 700 });
  worker.on('error', () => {});
  t.after(async () => {
    await worker.close(true);
    line.disconnect();
  });
  await worker.waitUntilReady();
  return worker;
}

let people = 0;

/** Somebody with a conversation of his own, who reads along at a server. */
async function somebody(t, server = fleet.servers[0]) {
  people += 1;
  const username = `person_${people}`;
  const form = { email: `${username}@example.org`, username, password: 'correct horse' };
  const { status, body } = await request(server, 'POST', '/api/auth/register', form);
  assert.equal(status, 201);
  const person = new Person({ url: server.url, socketUrl: () => server.url }, body.user, body.token);
  t.after(() => person.close());
  const conversation = await person.conversation();
  const who = { person, conversation, socket: await person.socket({ join: [conversation] }) };
  follow(who);
  return who;
}

async function ask({ person, conversation }, text) {
  const { status, body } = await person.send(conversation, text);
  assert.equal(status, 202);
  return body.message;
}

/** Joins again when the server says that events were lost, as every client does. */
function follow({ socket, conversation }) {
  socket.io.on('conversation:resync', async () => {
    const payload = await socket.join(conversation, Math.max(0, ...socket.of('message:new').map(({ message }) => message.seq)));
    socket.seen.push({ event: 'joined again', payload });
    for (const message of payload.messages) socket.seen.push({ event: 'message:new', payload: { message } });
  });
}

/**
 * What the deltas of a reply add up to; each continues the one before it. Who joined again goes on where the acknowledgement
 * ends; where the reply was in it whole, nothing is left to be streamed.
 */
function streamed(socket, { id, text: whole }) {
  let text = '';
  for (const { event, payload } of socket.seen) {
    if (event === 'reply:delta' && payload.messageId === id) {
      assert.equal(payload.offset, text.length, 'each delta continues the one before');
      text += payload.text;
    } else if (event === 'joined again') {
      if (payload.messages.some((message) => message.id === id)) return whole;
      if (payload.partial?.messageId === id) text = payload.partial.text;
    }
  }
  return text;
}

/** That the message has one reply, with this text, streamed as it is stored. */
async function answered(who, message, text) {
  const reply = await who.socket.reply(message.id, patience);
  assert.equal(reply.text, text);
  assert.equal(streamed(who.socket, reply), text);
  const stored = await who.person.messages(who.conversation, '?limit=100');
  assert.deepEqual(stored.filter((one) => one.inReplyTo === message.id).map((one) => one.id), [reply.id]);
  return reply;
}

const said = (marker, chunks = 8) => piecesFor(marker, chunks).join('');

test('the example generates, and the server that added the job claims, streams and commits', async (t) => {
  const ai = async () => (await fleet.servers[0].health()).checks.ai;
  assert.deepEqual([(await ai()).status, (await ai()).unit], ['degraded', 'workers'], 'no worker is there');
  await example(t);
  await eventually('the worker is seen', async () => (await ai()).status === 'ok');
  fleet.model.plan = { ...fleet.model.plan, chunks: 12, delayMs: 60 };
  const all = await Promise.all([0, 1, 2, 3].map((n) => somebody(t, fleet.servers[n % 2])));
  const asked = await Promise.all(all.map((who, n) => ask(who, `Hello #first-${n}`)));
  for (const [n, who] of all.entries()) {
    const reply = await answered(who, asked[n], said(`#first-${n}`, 12));
    assert.ok(who.socket.of('reply:delta').filter((delta) => delta.messageId === reply.id).length > 2, 'it came word by word');
    assert.equal(who.socket.of('reply:start').length, 1);
  }
  assert.equal(fleet.model.calls.length, 4);
  assert.equal(fleet.model.calls[0].messages[0].role, 'system', 'the prompt is made by the server');
  // What was said stays in no job.
  const jobs = await eventually('the jobs are emptied', async () => {
    const done = await queue.getJobs(['completed']);
    return done.length === 4 && done.every((job) => !job.data.messages) && done;
  });
  for (const job of jobs) {
    assert.deepEqual(Object.keys(job.data).sort(), ['attempt', 'characterId', 'conversationId', 'messageId', 'premium']);
    assert.deepEqual(job.returnvalue, { outcome: 'done' });
  }
  assert.equal(await fleet.query('SELECT DISTINCT model FROM token_uses'), 'openai/stub', 'tokens are the worker\'s model\'s');
});

test('a worker that is killed in the middle costs no message and doubles none', async (t) => {
  const worker = await example(t);
  fleet.model.plan = { ...fleet.model.plan, chunks: 10, delayMs: 150 };
  const all = await Promise.all([0, 1, 2].map((n) => somebody(t, fleet.servers[n % 2])));
  const asked = await Promise.all(all.map((who, n) => ask(who, `Hello #killed-${n}`)));
  await Promise.all(all.map((who) => who.socket.until('reply:delta', () => true, patience)));
  await worker.kill();
  await worker.restart();
  for (const [n, who] of all.entries()) await answered(who, asked[n], said(`#killed-${n}`, 10));
});

test('a server that is killed while a worker generates: another claims, and what the old job brings changes nothing', async (t) => {
  await example(t);
  fleet.model.plan = { ...fleet.model.plan, chunks: 10, delayMs: 200 };
  const who = await somebody(t, fleet.servers[1]);
  const reader = await who.person.socket();
  const message = await ask(who, 'Hello #orphan');
  await who.socket.until('reply:delta', () => true, patience);
  await fleet.servers[1].kill();
  t.after(() => reader.close());
  const person = new Person({ url: fleet.servers[0].url, socketUrl: () => fleet.servers[0].url }, who.person.user, who.person.token);
  const reply = await person.replyTo(who.conversation, message.id, patience);
  assert.equal(reply.text, said('#orphan', 10));
  await sleep(2_500);
  const stored = await person.messages(who.conversation, '?limit=100');
  assert.equal(stored.filter((one) => one.inReplyTo === message.id).length, 1);
  await fleet.servers[1].start();
});

test('a stop keeps what was said, and the worker is stopped with it', async (t) => {
  await example(t);
  fleet.model.plan = { ...fleet.model.plan, chunks: 50, delayMs: 100 };
  const who = await somebody(t);
  const message = await ask(who, 'Hello #stopped');
  await who.socket.until('reply:delta', ({ text }) => text.length > 0, patience);
  assert.deepEqual(await who.socket.ask('message:cancel', { conversationId: who.conversation.id }), { ok: true });
  const reply = await who.socket.reply(message.id, patience);
  assert.ok(said('#stopped', 50).startsWith(reply.text) && reply.text.length < said('#stopped', 50).length);
  assert.equal(streamed(who.socket, reply), reply.text);
  const [call] = fleet.model.callsFor('#stopped');
  await eventually('the model is left alone', () => call.cancelledAt, 3_000);
  await eventually('the job is gone', async () => (await queue.getActiveCount()) === 0);
});

test('a message that stands in line is cancelled before any worker has it; a paused queue waits', async (t) => {
  await example(t);
  fleet.model.plan = { ...fleet.model.plan, chunks: 4, delayMs: 0 };
  await queue.pause();
  const [gone, stays] = [await somebody(t), await somebody(t)];
  const first = await ask(gone, 'Hello #never');
  const second = await ask(stays, 'Hello #later');
  await eventually('both stand in line', async () => (await queue.getWaitingCount()) === 2);
  await gone.socket.ask('message:cancel', { conversationId: gone.conversation.id });
  await gone.socket.until('message:updated', ({ message }) => message.id === first.id && message.replyState === 'cancelled', patience);
  await eventually('its job is gone', async () => (await queue.getWaitingCount()) === 1);
  await sleep(3_000);
  assert.equal(stays.socket.of('reply:start').length, 0, 'nobody types while it waits');
  await queue.resume();
  await answered(stays, second, said('#later', 4));
  assert.equal(fleet.model.callsFor('#never').length, 0);
});

test('a worker that fails is told, after as many runs as a model of our own gets', async (t) => {
  await example(t);
  fleet.model.plan = { ...fleet.model.plan, fail: 500 };
  const who = await somebody(t);
  const message = await ask(who, 'Hello #failed');
  const { error, inReplyTo } = await who.socket.until('reply:error', () => true, patience);
  assert.deepEqual([error.code, inReplyTo], ['unavailable', message.id]);
  assert.equal(fleet.model.callsFor('#failed').length, 3);
  fleet.model.plan = { ...fleet.model.plan, fail: undefined, chunks: 4 };
  const { status } = await who.person.api('POST', `/api/conversations/${who.conversation.id}/messages/${message.id}/retry`);
  assert.equal(status, 202);
  await answered(who, message, said('#failed', 4));
});

test('what a worker returns is the truth, and deltas that were lost or wrong are made good', async (t) => {
  const plans = {
    '#gap': async (job) => {
      await job.updateProgress({ delta: 'The tide ', offset: 0 });
      await job.updateProgress({ delta: 'slowly', offset: 15 });
      return { text: 'The tide turns slowly.' };
    },
    '#wrong': async (job) => {
      await job.updateProgress({ delta: 'The wind ', offset: 0 });
      await sleep(200);
      return 'The tide turns.';
    },
    '#whole': async (job) => {
      await job.updateProgress({ text: 'The tide' });
      await job.updateProgress({ text: 'The tide turns' });
      await job.updateProgress(70);
      return 'The tide turns.';
    },
    '#silent': async () => ({ text: 'Not a word before the end.' }),
  };
  await own(t, (job) => plans[job.data.messages.at(-1).content.match(/#\w+/)[0]](job));
  const truth = { '#gap': 'The tide turns slowly.', '#wrong': 'The tide turns.', '#whole': 'The tide turns.', '#silent': 'Not a word before the end.' };
  for (const [marker, text] of Object.entries(truth)) {
    const who = await somebody(t);
    await answered(who, await ask(who, `Hello ${marker}`), text);
    const starts = who.socket.of('reply:start').map((start) => start.messageId);
    assert.equal(starts.length, marker === '#wrong' ? 2 : 1);
    assert.equal(new Set(starts).size, starts.length);
  }
});

test('what is no reply is told as a failure', async (t) => {
  await own(t, async () => ({ outcome: 'done' }));
  const who = await somebody(t);
  await ask(who, 'Hello #nothing');
  await who.socket.until('reply:error', () => true, patience);
});

test('a job that somebody removed is added again, also when Redis forgot everything', async (t) => {
  await queue.pause();
  const who = await somebody(t);
  const message = await ask(who, 'Hello #removed');
  const [job] = await eventually('it stands in line', async () => {
    const jobs = await queue.getJobs(['waiting']);
    return jobs.length > 0 && jobs;
  });
  await job.remove();
  await eventually('it stands in line again', async () => (await queue.getWaitingCount()) === 1, patience);
  await fleet.redis.flush();
  await eventually('and once more', async () => (await queue.getWaitingCount()) === 1, patience);
  await example(t);
  fleet.model.plan = { ...fleet.model.plan, chunks: 4, delayMs: 0, fail: undefined };
  await answered(who, message, said('#removed', 4));
});

test('while Redis is away a server that works answers with its own model, where it has one', async (t) => {
  const other = await Fleet.start({
    servers: 1, workers: 0, network: false, env: { AIM_WORKERS__FOREIGN: 'ai-response', AIM_SERVER__LEASE: '2s' },
  });
  t.after(() => other.close());
  const worker = await Example.start('node', {
    REDIS_URL: other.redis.url, OPENAI_BASE_URL: other.model.url, OPENAI_MODEL: 'theirs', LOCK_DURATION: '1500',
  });
  t.after(() => worker.close());
  const models = async () => (await other.query('SELECT DISTINCT model FROM token_uses ORDER BY model')).split('\n');
  const who = await somebody(t, other.servers[0]);
  await answered(who, await ask(who, 'Hello #with'), said('#with'));
  assert.deepEqual(await models(), ['openai/theirs']);
  // One is under way when Redis goes, another comes after it.
  other.model.plan = { ...other.model.plan, chunks: 40, delayMs: 100 };
  const cut = await ask(who, 'Hello #cut');
  await eventually('it is under way', () => other.model.callsFor('#cut').length > 0);
  await sleep(500);
  await other.redis.kill();
  await sleep(500);
  other.model.plan = { ...other.model.plan, chunks: 8, delayMs: 0 };
  const second = await somebody(t, other.servers[0]);
  await answered(second, await ask(second, 'Hello #without'), said('#without'));
  const reply = await who.socket.reply(cut.id, patience);
  assert.ok([said('#cut'), said('#cut', 40)].includes(reply.text));
  assert.equal(streamed(who.socket, reply), reply.text);
  assert.ok((await models()).includes('openai/stub'));
  // And back again.
  await other.redis.restart();
  await eventually('Redis is used again', async () => (await other.servers[0].health()).status === 'ok', patience);
  const before = other.model.calls.length;
  await answered(who, await ask(who, 'Hello #again'), said('#again'));
  assert.equal(other.model.calls.length, before + 1);
  other.assertNobodyFell();
});

test('over a Redis Cluster it is the same', async (t) => {
  const other = await Fleet.start({ servers: 1, workers: 0, cluster: true, env: { ...alone, AIM_WORKERS__FOREIGN: 'ai-response' } });
  t.after(() => other.close());
  const nodes = (await other.cluster.serving()).map(({ port }) => ({ host: '127.0.0.1', port }));
  const line = new Redis.Cluster(nodes, { redisOptions: { maxRetriesPerRequest: null } });
  const generate = async (job) => {
    await job.updateProgress({ delta: 'The tide ', offset: 0 });
    await sleep(300);
    await job.updateProgress({ delta: 'turns', offset: 9 });
    return 'The tide turns.';
  };
  const worker = new Worker('ai-response', generate, { connection: line, prefix: '{aim}' });
  worker.on('error', () => {});
  t.after(async () => {
    await worker.close(true);
    line.disconnect();
  });
  const who = await somebody(t, other.servers[0]);
  const reply = await answered(who, await ask(who, 'Hello #cluster'), 'The tide turns.');
  const deltas = who.socket.of('reply:delta').filter((delta) => delta.messageId === reply.id);
  assert.ok(deltas.length >= 2, 'it came while it was said');
  other.assertNobodyFell();
});

test('a worker is given the persona that is played, in the messages as any model', async (t) => {
  const given = [];
  await own(t, (job) => {
    given.push(job.data.messages);
    return 'Aye.';
  });
  const who = await somebody(t);
  const form = { name: 'Captain Rook', description: 'Lost a ship.', isDefault: true };
  await who.person.must('POST', '/api/users/me/personas', form);
  await answered(who, await ask(who, 'Hello #persona'), 'Aye.');
  const [{ role, content }] = given.find((messages) => messages.at(-1).content === 'Hello #persona');
  assert.equal(role, 'system');
  assert.ok(content.includes('talking with Captain Rook.') && content.endsWith('About Captain Rook: Lost a ship.'), content);
});

test('nobody fell', () => {
  const others = fleet.processes.filter((one) => one !== fleet.servers[1]);
  for (const one of others) assert.equal(one.fallen, undefined);
  assert.ok(!/panicked at/.test(fleet.processes.map((one) => one.log).join('')));
});
