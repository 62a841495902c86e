// Rooms and sockets: who hears what, over which transport, and what a careless client can not break.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertWholeReply } from './checks.mjs';
import { eventually } from './client.mjs';
import { Server } from './server.mjs';

let server;
let model;
before(async () => {
  server = await Server.start();
  model = server.model;
});
after(() => server?.stop());

test('typing reaches every other socket of the room, the same user’s included, and not the one that types', async () => {
  const ada = await server.register();
  const conversation = await ada.conversation();
  const [desk, phone, elsewhere] = [await ada.socket({ join: [conversation] }), await ada.socket({ join: [conversation] }), await ada.socket()];
  for (const typing of [true, false]) {
    desk.io.emit('typing', { conversationId: conversation.id, typing });
    const heard = await phone.until('typing', (one) => one.typing === typing);
    assert.deepEqual(heard, { conversationId: conversation.id, userId: ada.id, typing });
  }
  assert.deepEqual([desk.of('typing'), elsewhere.of('typing')], [[], []]);
});

test('long polling carries a whole conversation, and so does the upgrade from it', async () => {
  model.plan = { ...model.plan, chunks: 12, delayMs: 10 };
  for (const transports of [['polling'], ['polling', 'websocket']]) {
    const ada = await server.register();
    const conversation = await ada.conversation();
    const socket = await ada.socket({ transports, join: [conversation] });
    const { ok, message } = await socket.send(conversation, 'Slow line #polling 🌊');
    assert.equal(ok, true);
    await socket.reply(message.id);
    assertWholeReply(socket, message.id);
    if (transports.length === 2) await eventually('the upgrade', () => socket.io.io.engine.transport.name === 'websocket');
  }
});

test('every device sees the same events in the same order', async () => {
  model.plan = { ...model.plan, chunks: 6, delayMs: 5 };
  const ada = await server.register();
  const conversation = await ada.conversation();
  const sockets = await Promise.all([1, 2, 3].map(() => ada.socket({ join: [conversation] })));
  const sent = await ada.send(conversation, 'To all #devices');
  for (const socket of sockets) await socket.reply(sent.body.message.id);
  await Promise.all(sockets.map((socket) => socket.until('conversation:state', ({ state }) => state === 'idle')));
  const views = sockets.map((socket) => {
    assertWholeReply(socket, sent.body.message.id);
    return socket.seen.filter(({ event }) => /^(message|reply):/.test(event)).map(({ event, payload }) => [event, payload]);
  });
  assert.deepEqual(views[1], views[0]);
  assert.deepEqual(views[2], views[0]);
});

test('a socket that joins twice hears everything once', async () => {
  model.plan = { ...model.plan, chunks: 3, delayMs: 0 };
  const ada = await server.register();
  const conversation = await ada.conversation();
  const socket = await ada.socket({ join: [conversation, conversation] });
  const { message } = await socket.send(conversation, 'Once #joined');
  await socket.reply(message.id);
  await sleep(100);
  assert.equal(socket.of('message:new').length, 2);
  assertWholeReply(socket, message.id);
});

test('a careless client is told what is wrong, and stays connected', async () => {
  const ada = await server.register();
  const conversation = await ada.conversation();
  const socket = await ada.socket();
  for (const payload of [undefined, null, 7, 'text', [], {}, { conversationId: 7 }, { conversationId: '' }, { conversationId: 'a b' }]) {
    for (const event of ['conversation:join', 'conversation:leave', 'message:send', 'message:cancel']) {
      const answer = await socket.ask(event, payload);
      const code = answer.error?.code;
      assert.ok(answer.ok === false && ['validation', 'not_found'].includes(code), `${event} ${JSON.stringify(payload)}: ${JSON.stringify(answer)}`);
    }
    socket.io.emit('typing', payload);
    socket.io.emit('no:such:event', payload);
  }
  const late = await socket.ask('conversation:join', { conversationId: conversation.id, afterSeq: -1 });
  assert.equal(late.error?.code, 'validation', JSON.stringify(late));
  assert.equal((await socket.join(conversation)).ok, true);
  assert.equal(socket.io.connected, true);
});
