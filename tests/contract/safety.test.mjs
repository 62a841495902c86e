// Blocks and what operators do, as clients see it: at once, on every server, on open sockets too.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from './client.mjs';
import { Server, password, atOnce } from './server.mjs';

let server;
let admin;
before(async () => {
  server = await Server.start();
  server.model.plan = { ...server.model.plan, chunks: 4 };
  admin = await server.register();
  await server.command(['user', 'set', admin.user.username, '--role', 'admin']);
  await eventually('the role', async () => (await admin.api('GET', '/api/admin/audit')).status === 200);
});
after(() => server?.stop());

const suspend = (who, more = {}) => admin.must('PATCH', `/api/admin/users/${who.id}`, { suspended: true, reason: 'Spam.', ...more });

test('whoever is suspended is out within a second everywhere, and is told why at the door', async () => {
  const ada = await server.register();
  const conversation = await ada.conversation();
  const sockets = [await ada.socket({ join: [conversation] }), await ada.socket({ transports: ['polling'] })];
  const until = new Date(Date.now() + 86_400_000).toISOString();
  await suspend(ada, { until });
  const done = Date.now();
  for (const socket of sockets) {
    const { at } = await socket.disconnected;
    assert.ok(at - done < 1_000 + atOnce, `closed after ${at - done} ms`);
  }
  await eventually('the end of the session', async () => (await ada.api('GET', '/api/auth/me')).status === 401, 1_000 + atOnce);
  const login = { login: ada.user.username, password };
  const refused = await server.api('POST', '/api/auth/login', login);
  assert.deepEqual([refused.status, refused.body.code], [403, 'forbidden']);
  assert.ok(refused.body.detail.includes(until.slice(0, 10)) && refused.body.detail.includes('Spam.'), refused.body.detail);
  await admin.must('PATCH', `/api/admin/users/${ada.id}`, { suspended: false, reason: 'Sorry.' });
  assert.equal((await server.api('POST', '/api/auth/login', login)).status, 200);
});

test('what the suspended wait for is cancelled, and others in the room are answered', async () => {
  const [host, guest] = [await server.register(), await server.register()];
  const conversation = await host.conversation();
  await host.must('POST', `/api/conversations/${conversation.id}/members`, { userId: guest.id });
  const room = await host.socket({ join: [conversation] });
  server.model.plan = { ...server.model.plan, steps: true };
  const first = (await host.send(conversation, 'Mine #first')).body.message;
  await eventually('the model', () => server.model.callsFor('#first').length === 1);
  const theirs = (await guest.send(conversation, 'Never mind #theirs')).body.message;
  const last = (await host.send(conversation, 'Mine too #last')).body.message;
  await suspend(guest);
  await room.until('message:updated', ({ message }) => message.id === theirs.id && message.replyState === 'cancelled');
  server.model.release();
  await room.reply(first.id);
  await room.reply(last.id);
  const messages = await host.messages(conversation);
  assert.equal(messages.find(({ id }) => id === theirs.id).replyState, 'cancelled');
  assert.equal(server.model.callsFor('#theirs').length, 0, 'nobody was paid for it');
});

test('what a suspension at a terminal cancels is shown to who is there', async () => {
  const [host, guest] = [await server.register(), await server.register()];
  const conversation = await host.conversation();
  await host.must('POST', `/api/conversations/${conversation.id}/members`, { userId: guest.id });
  server.model.plan = { ...server.model.plan, steps: true };
  const first = (await host.send(conversation, 'Mine #before')).body.message;
  await eventually('the model', () => server.model.callsFor('#before').length === 1);
  const theirs = (await guest.send(conversation, 'Never mind #shut')).body.message;
  const room = await host.socket({ join: [conversation] });
  await server.command(['user', 'suspend', guest.user.username, '--reason', 'Spam.']);
  // No command reaches a room: who is in it is told to look.
  await room.until('conversation:resync', ({ conversationId }) => conversationId === conversation.id);
  const messages = await host.messages(conversation);
  assert.equal(messages.find(({ id }) => id === theirs.id).replyState, 'cancelled');
  server.model.release();
  await eventually('the other is answered', async () => (
    (await host.messages(conversation)).find(({ id }) => id === first.id).replyState === 'done'
  ));
  assert.equal(server.model.callsFor('#shut').length, 0);
});

test('a reply to somebody who is suspended stops', async () => {
  const ada = await server.register();
  const conversation = await ada.conversation();
  server.model.plan = { ...server.model.plan, steps: true };
  await ada.send(conversation, 'Go on and on #forever');
  await eventually('the model', () => server.model.callsFor('#forever').length === 1);
  server.model.step(2);
  await suspend(ada);
  await eventually('the model is left', () => server.model.callsFor('#forever')[0].cancelledAt !== undefined, 5_000);
  server.model.release();
});

test('an unlisted character is gone from the lists of others within a second', async () => {
  const [author, reader] = [await server.register(), await server.register()];
  const { id } = await author.character({ name: 'Odd one out' });
  await reader.must('GET', `/api/characters/${id}`);
  await admin.must('PATCH', `/api/admin/characters/${id}`, { unlisted: true, reason: 'A copy.' });
  const seen = async () => (await reader.must('GET', '/api/characters?limit=100')).items.some((one) => one.id === id);
  assert.equal(await seen(), false, 'lists are read from the database');
  await eventually('caches forget it', async () => (await reader.api('GET', `/api/characters/${id}`)).status === 404, 1_000 + atOnce);
  assert.equal((await author.must('GET', `/api/characters/${id}`)).character.unlistedReason, 'A copy.');
});
