// What belongs to someone else is not found, on every way to it; and no room lets a stranger in.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Server } from './server.mjs';

let server;
before(async () => {
  server = await Server.start();
  server.model.plan = { ...server.model.plan, chunks: 3 };
});
after(() => server?.stop());

test('another person’s conversation is not found by any call, and no socket hears of it', async () => {
  const [ada, eve] = [await server.register(), await server.register()];
  const conversation = await ada.conversation();
  const sent = await ada.send(conversation, 'A secret #canary');
  await ada.replyTo(conversation, sent.body.message.id);
  const hers = `/api/conversations/${conversation.id}`;
  const calls = [
    ['GET', hers], ['PATCH', hers, { title: 'mine' }], ['DELETE', hers], ['GET', `${hers}/messages`], ['GET', `${hers}/state`],
    ['POST', `${hers}/messages`, { type: 'text', text: 'let me in', clientId: 'a' }], ['POST', `${hers}/cancel`],
    ['POST', `${hers}/messages/${sent.body.message.id}/retry`],
  ];
  for (const [method, where, body] of calls) {
    const answer = await eve.api(method, where, body);
    assert.deepEqual([answer.status, answer.body.code], [404, 'not_found'], `${method} ${where}`);
    assert.equal(JSON.stringify(answer.body).includes('canary'), false);
  }

  const socket = await eve.socket();
  const events = [
    ['conversation:join', {}], ['conversation:join', { afterSeq: 0 }],
    ['message:send', { type: 'text', text: 'let me in', clientId: 'a' }], ['message:cancel', {}],
  ];
  for (const [event, payload] of events) {
    const answer = await socket.ask(event, { conversationId: conversation.id, ...payload });
    assert.deepEqual([answer.ok, answer.error?.code], [false, 'not_found'], event);
  }
  const listener = await ada.socket({ join: [conversation] });
  socket.io.emit('typing', { conversationId: conversation.id, typing: true });
  const second = await listener.send(conversation, 'Another secret #canary');
  await listener.reply(second.message.id);
  assert.deepEqual(socket.seen, [], 'the stranger heard nothing');
  assert.equal(listener.of('typing').some(({ userId }) => userId === eve.id), false, 'and said nothing');
  assert.equal((await ada.messages(conversation)).length, 4);
});

test('a private character is not found by others, and cannot be talked with', async () => {
  const [ada, eve] = [await server.register(), await server.register()];
  const character = await ada.character({ visibility: 'private', name: 'Hidden canary' });
  for (const [method, body] of [['GET'], ['PATCH', { name: 'mine' }], ['DELETE']]) {
    const answer = await eve.api(method, `/api/characters/${character.id}`, body);
    assert.deepEqual([answer.status, answer.body.code], [404, 'not_found'], method);
  }
  assert.equal((await eve.api('POST', '/api/conversations', { characterId: character.id })).status, 404);
  const { items } = await eve.must('GET', '/api/characters?limit=100');
  assert.equal(items.some(({ id }) => id === character.id), false);
  const own = await ada.must('GET', `/api/characters/${character.id}`);
  assert.equal(own.character.name, 'Hidden canary');
});

test('a public character is read by all and changed by its owner alone', async () => {
  const [ada, eve] = [await server.register(), await server.register()];
  const character = await ada.character({ name: 'Everyone’s' });
  assert.equal((await eve.api('GET', `/api/characters/${character.id}`)).status, 200);
  const refused = await eve.api('PATCH', `/api/characters/${character.id}`, { name: 'mine' });
  assert.ok([403, 404].includes(refused.status), `status ${refused.status}`);
  const { character: still } = await ada.must('GET', `/api/characters/${character.id}`);
  assert.equal(still.name, 'Everyone’s');
});

test('a public profile shows no address and no tier', async () => {
  const [ada, eve] = [await server.register(), await server.register()];
  for (const where of [`/api/users/${ada.id}`, `/api/users/by-username/${ada.user.username.toUpperCase()}`]) {
    const { user } = await eve.must('GET', where);
    assert.equal(user.id, ada.id);
    for (const hidden of ['email', 'tier', 'role']) assert.equal(hidden in user, false, `${hidden} in ${where}`);
  }
  assert.equal((await eve.api('GET', '/api/users/by-username/nobody_here')).status, 404);
});

test('leaving a room ends its events', async () => {
  const ada = await server.register();
  const conversation = await ada.conversation();
  const [stays, leaves] = [await ada.socket({ join: [conversation] }), await ada.socket({ join: [conversation] })];
  assert.deepEqual(await leaves.ask('conversation:leave', { conversationId: conversation.id }), { ok: true });
  const { message } = await stays.send(conversation, 'Gone #left');
  await stays.reply(message.id);
  assert.deepEqual(leaves.of('message:new'), []);
});
