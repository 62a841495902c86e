// From a message to its reply: the order of events, the text as it streams, who waits for whom.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertAllAnsweredOnce, assertWholeReply, expectedReply } from './checks.mjs';
import { eventually } from './client.mjs';
import { Server } from './server.mjs';

let server;
let model;
before(async () => {
  server = await Server.start();
  model = server.model;
});
after(() => server?.stop());

test('a message is answered in the order of events, and its deltas add up to the reply', async () => {
  model.plan = { ...model.plan, chunks: 24, delayMs: 10 };
  const ada = await server.register();
  const conversation = await ada.conversation();
  const socket = await ada.socket({ join: [conversation] });
  const sent = await socket.send(conversation, 'Tell me of #order 🌊');
  assert.equal(sent.ok, true, JSON.stringify(sent));
  assert.equal(sent.state, 'processing');
  assert.equal(sent.message.replyState, 'due');
  assert.equal(sent.usage.text.used, 1);
  await socket.reply(sent.message.id);
  const reply = assertWholeReply(socket, sent.message.id);
  assert.equal(reply.text, expectedReply('#order', 24));
  assert.deepEqual([reply.role, reply.senderId, reply.type, reply.seq], ['character', conversation.characterId, 'text', sent.message.seq + 1]);
  assert.ok(socket.of('reply:delta').length > 2, 'the text came as it was said, not at the end');
  const stored = await ada.messages(conversation);
  assert.equal(stored.at(-1).text, reply.text);
  assert.equal(stored.at(-2).replyState, 'done');
});

test('the greeting is message 1, and the model sees it', async () => {
  model.plan = { ...model.plan, chunks: 3, delayMs: 0 };
  const ada = await server.register();
  const conversation = await ada.conversation(await ada.character({ greeting: 'Welcome aboard, {{user}}.' }));
  const [greeting] = await ada.messages(conversation);
  assert.deepEqual([greeting.seq, greeting.role], [1, 'character']);
  assert.match(greeting.text, /^Welcome aboard, /);
  const socket = await ada.socket({ join: [conversation] });
  const { message } = await socket.send(conversation, 'Hello #greeting');
  assert.equal(message.seq, 2);
  await socket.reply(message.id);
  assert.ok(model.callsFor('#greeting')[0].messages.some((one) => one.text.includes('Welcome aboard')));
});

test('the character types from the start of its reply to its end, and the state follows', async () => {
  model.plan = { ...model.plan, chunks: 6, delayMs: 20 };
  const ada = await server.register();
  const conversation = await ada.conversation();
  const socket = await ada.socket({ join: [conversation] });
  const { message } = await socket.send(conversation, 'Hello #typing');
  await socket.reply(message.id);
  await socket.until('conversation:state', ({ state }) => state === 'idle');
  const typing = await eventually('the end of typing', () => {
    const seen = socket.of('typing').filter((one) => one.characterId === conversation.characterId);
    return seen.at(-1)?.typing === false && seen;
  });
  assert.deepEqual(typing.map((one) => one.typing), [true, false]);
  const names = socket.seen.map(({ event, payload }) => (event === 'conversation:state' ? payload.state : event));
  assert.ok(names.indexOf('processing') >= 0 && names.indexOf('processing') < names.lastIndexOf('idle'), names.join(' '));
  const { state, pending } = await ada.must('GET', `/api/conversations/${conversation.id}/state`);
  assert.deepEqual({ state, pending }, { state: 'idle', pending: 0 });
});

test('six quick sends are answered in order, one at a time, and a waiting one is in no earlier context', async () => {
  model.plan = { ...model.plan, chunks: 5, delayMs: 5, steps: true };
  const ada = await server.register();
  const conversation = await ada.conversation();
  const socket = await ada.socket({ join: [conversation] });
  const texts = [1, 2, 3, 4, 5, 6].map((i) => `Question #six-${i}`);
  const sent = await Promise.all(texts.map((text) => socket.send(conversation, text)));
  model.release();
  const accepted = sent.map(({ message }) => message).sort((a, b) => a.seq - b.seq);
  assert.deepEqual(sent.map(({ state }) => state).toSorted(), ['processing', ...Array(5).fill('queued')]);
  for (const { id } of accepted) await socket.reply(id);
  for (const { id } of accepted) assertWholeReply(socket, id);

  const calls = model.calls.filter((call) => call.marker?.startsWith('#six-'));
  assert.deepEqual(calls.map((call) => call.last), accepted.map(({ text }) => text), 'first come, first served, each once');
  for (const [i, call] of calls.entries()) {
    if (i > 0) assert.ok(call.at >= calls[i - 1].endedAt, 'one at a time');
    const asked = call.messages.filter((one) => one.role === 'user').map((one) => one.text);
    assert.deepEqual(asked, accepted.slice(0, i + 1).map(({ text }) => text), 'what waits is not in the context');
    const roles = call.messages.filter((one) => one.role !== 'system').map((one) => one.role);
    assert.deepEqual(roles, Array.from({ length: 2 * i + 1 }, (_, n) => (n % 2 ? 'assistant' : 'user')), 'each message is followed by its reply');
  }
  assertAllAnsweredOnce(await ada.messages(conversation), accepted.map(({ id }) => id));
});

test('two people of one character are answered one at a time, and told their position', async () => {
  model.plan = { ...model.plan, chunks: 4, delayMs: 0, steps: true };
  const [ada, ben] = [await server.register(), await server.register()];
  const character = await ada.character();
  const [hers, his] = [await ada.conversation(character), await ben.conversation(character)];
  const [herSocket, hisSocket] = [await ada.socket({ join: [hers] }), await ben.socket({ join: [his] })];
  const first = await herSocket.send(hers, 'Me first #pair-a');
  await eventually('the first call', () => model.callsFor('#pair-a').length === 1);
  const second = await hisSocket.send(his, 'And me #pair-b');
  assert.deepEqual([first.state, second.state], ['processing', 'queued']);
  const told = await hisSocket.until('conversation:state', ({ state }) => state === 'queued');
  assert.equal(told.position, 1, JSON.stringify(told));
  const { position } = await ben.must('GET', `/api/conversations/${his.id}/state`);
  assert.equal(position, 1);
  assert.equal(model.callsFor('#pair-b').length, 0, 'the second waits while the first is answered');
  model.release();
  await herSocket.reply(first.message.id);
  await hisSocket.reply(second.message.id);
  const [one, two] = [model.callsFor('#pair-a')[0], model.callsFor('#pair-b')[0]];
  assert.ok(two.at >= one.endedAt, 'one at a time');
  assert.equal(hisSocket.of('message:new').some(({ message }) => message.text.includes('#pair-a')), false);
});

test('a character serves its conversations in turn: a long line of one does not hold up another', async () => {
  model.plan = { ...model.plan, chunks: 3, delayMs: 10, steps: true };
  const [ada, ben] = [await server.register(), await server.register()];
  const character = await ada.character();
  const [hers, his] = [await ada.conversation(character), await ben.conversation(character)];
  const herSocket = await ada.socket({ join: [hers] });
  for (let i = 1; i <= 5; i += 1) await herSocket.send(hers, `Many #fair-a${i}`);
  await eventually('the first call', () => model.callsFor('#fair-a1').length === 1);
  const sent = await ben.send(his, 'Just one #fair-b');
  model.release();
  await ben.replyTo(his, sent.body.message.id);
  const order = model.calls.map((call) => call.marker).filter((marker) => marker?.startsWith('#fair-'));
  assert.ok(order.indexOf('#fair-b') <= 2, `answered after at most one more of the other's: ${order.join(' ')}`);
});

test('different characters answer at the same time', async () => {
  model.plan = { ...model.plan, chunks: 3, delayMs: 0, steps: true };
  const ada = await server.register();
  const [one, two] = [await ada.conversation(), await ada.conversation()];
  await ada.send(one, 'Here #both-1');
  await ada.send(two, 'There #both-2');
  await eventually('both calls', () => model.callsFor('#both-1').length === 1 && model.callsFor('#both-2').length === 1);
  model.release();
});

test('a reply over REST alone is stored with its answer', async () => {
  model.plan = { ...model.plan, chunks: 8, delayMs: 0, steps: false };
  const ada = await server.register();
  const conversation = await ada.conversation();
  const sent = await ada.send(conversation, 'By post #rest');
  assert.equal(sent.status, 202);
  assert.equal(sent.body.message.text, 'By post #rest');
  const reply = await ada.replyTo(conversation, sent.body.message.id);
  assert.equal(reply.text, expectedReply('#rest', 8));
});
