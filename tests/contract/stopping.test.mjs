// Stopping a reply, a reply that fails, and asking for it again.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertAllAnsweredOnce, assertWholeReply, expectedReply } from './checks.mjs';
import { eventually } from './client.mjs';
import { piecesFor } from './model.mjs';
import { Server } from './server.mjs';

let server;
let model;
before(async () => {
  server = await Server.start();
  model = server.model;
});
after(() => server?.stop());

const stateOf = async (person, conversation, id) => (await person.messages(conversation)).find((message) => message.id === id).replyState;

test('a stopped reply is stored with the text so far, and the model is told within a second', async () => {
  model.plan = { chunks: 40, firstMs: 0, delayMs: 0, steps: true };
  const ada = await server.register();
  const conversation = await ada.conversation();
  const socket = await ada.socket({ join: [conversation] });
  const { message } = await socket.send(conversation, 'Stop this #stop-text');
  model.step(5);
  const said = piecesFor('#stop-text', 40).slice(0, 5).join('').trimEnd();
  await eventually('five pieces', () => socket.of('reply:delta').map(({ text }) => text).join('').length >= said.length);
  const at = Date.now();
  assert.deepEqual(await socket.ask('message:cancel', { conversationId: conversation.id }), { ok: true });
  await socket.reply(message.id);
  const reply = assertWholeReply(socket, message.id);
  assert.equal(reply.text.trimEnd(), said);
  const [call] = model.callsFor('#stop-text');
  await eventually('the end of the call', () => call.cancelledAt);
  assert.ok(call.cancelledAt - at < 1_000, `after ${call.cancelledAt - at} ms`);
  assert.notEqual(await stateOf(ada, conversation, message.id), 'due');
  await socket.until('conversation:state', ({ state }) => state === 'idle');
  model.release();
});

test('a reply that was stopped before its first word marks its message cancelled, and the next one is answered', async () => {
  model.plan = { chunks: 4, firstMs: 0, delayMs: 0, steps: true };
  const ada = await server.register();
  const conversation = await ada.conversation();
  const socket = await ada.socket({ join: [conversation] });
  const { message } = await socket.send(conversation, 'Stop this #stop-early');
  await eventually('the call', () => model.callsFor('#stop-early').length === 1);
  const answer = await ada.api('POST', `/api/conversations/${conversation.id}/cancel`);
  assert.equal(answer.status, 202);
  const updated = await socket.until('message:updated', (one) => one.message.id === message.id);
  assert.equal(updated.message.replyState, 'cancelled');
  assert.equal(await stateOf(ada, conversation, message.id), 'cancelled');
  model.release();
  const next = await socket.send(conversation, 'Go on #stop-next');
  await socket.reply(next.message.id);
  assert.deepEqual((await ada.messages(conversation)).map(({ seq }) => seq), [1, 2, 3]);
});

test('stopping ends the reply under way alone: what waits is answered', async () => {
  model.plan = { chunks: 20, firstMs: 0, delayMs: 0, steps: true };
  const ada = await server.register();
  const conversation = await ada.conversation();
  const socket = await ada.socket({ join: [conversation] });
  const first = await socket.send(conversation, 'Stop me #wait-1');
  const second = await socket.send(conversation, 'Not me #wait-2');
  model.step(3);
  await socket.until('reply:delta');
  await socket.ask('message:cancel', { conversationId: conversation.id });
  await socket.reply(first.message.id);
  model.release();
  const reply = await socket.reply(second.message.id);
  assert.equal(reply.text, expectedReply('#wait-2', 20));
});

test('stopping where nothing is under way is fine', async () => {
  const ada = await server.register();
  const conversation = await ada.conversation();
  assert.equal((await ada.api('POST', `/api/conversations/${conversation.id}/cancel`)).status, 202);
  const socket = await ada.socket();
  assert.deepEqual(await socket.ask('message:cancel', { conversationId: conversation.id }), { ok: true });
});

test('a reply that fails says so, frees the line, and is given when asked again, counted once', async () => {
  model.plan = { chunks: 4, firstMs: 0, delayMs: 0, steps: false, fail: 400 };
  const ada = await server.register();
  const conversation = await ada.conversation();
  const socket = await ada.socket({ join: [conversation] });
  const { message } = await socket.send(conversation, 'Fail me #fail');
  const failed = await socket.until('reply:error', ({ inReplyTo }) => inReplyTo === message.id, 30_000);
  assert.equal(failed.conversationId, conversation.id);
  assert.equal(failed.error.code, 'unavailable');
  assert.equal(JSON.stringify(failed).includes('not well'), false, 'the provider’s own words stay with us');
  await eventually('the state failed', async () => (await stateOf(ada, conversation, message.id)) === 'failed');
  await socket.until('message:updated', (one) => one.message.id === message.id && one.message.replyState === 'failed');
  await eventually('idle', async () => (await ada.must('GET', `/api/conversations/${conversation.id}/state`)).state === 'idle');

  model.plan = { ...model.plan, fail: undefined };
  const retry = () => ada.api('POST', `/api/conversations/${conversation.id}/messages/${message.id}/retry`);
  assert.equal((await retry()).status, 202);
  await socket.reply(message.id);
  const again = await retry();
  assert.deepEqual([again.status, again.body.code], [409, 'conflict'], 'what was answered is not answered again');
  assertAllAnsweredOnce(await ada.messages(conversation), [message.id]);
  assert.equal((await ada.must('GET', `/api/auth/usage/${conversation.characterId}`)).text.used, 1);
});

test('a cancelled message can be asked for again', async () => {
  model.plan = { chunks: 4, firstMs: 0, delayMs: 0, steps: true };
  const ada = await server.register();
  const conversation = await ada.conversation();
  const sent = await ada.send(conversation, 'Changed my mind #again');
  const { id } = sent.body.message;
  await eventually('the call', () => model.callsFor('#again').length === 1);
  await ada.api('POST', `/api/conversations/${conversation.id}/cancel`);
  await eventually('cancelled', async () => (await stateOf(ada, conversation, id)) === 'cancelled');
  model.release();
  assert.equal((await ada.api('POST', `/api/conversations/${conversation.id}/messages/${id}/retry`)).status, 202);
  assert.equal((await ada.replyTo(conversation, id)).text, expectedReply('#again', 4));
});

test('a failure in the middle of a reply stores nothing of it, and one failure does not stop the next message', async () => {
  model.plan = { chunks: 10, firstMs: 0, delayMs: 0, steps: true };
  const ada = await server.register();
  const conversation = await ada.conversation();
  const socket = await ada.socket({ join: [conversation] });
  const { message } = await socket.send(conversation, 'Break off #broken');
  model.step(3);
  await socket.until('reply:delta');
  model.server.closeAllConnections();
  await socket.until('reply:error', ({ inReplyTo }) => inReplyTo === message.id, 30_000);
  assert.equal((await ada.messages(conversation)).length, 1);
  model.release();
  const next = await socket.send(conversation, 'And now #mended');
  await socket.reply(next.message.id);
});
