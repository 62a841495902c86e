// Several people in one conversation, each with sockets of their own: who hears what of whom, across servers too.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertWholeReply, expectedReply } from './checks.mjs';
import { eventually } from './client.mjs';
import { atOnce, Server } from './server.mjs';

let server;
let model;
before(async () => {
  server = await Server.start();
  model = server.model;
});
after(() => server?.stop());

/** Ada's conversation with a private character of hers, and Ben, who came in by a link. */
async function room() {
  const [ada, ben] = [await server.register(), await server.register()];
  const conversation = await ada.conversation(await ada.character({ visibility: 'private' }));
  const { invite } = await ada.must('POST', `/api/conversations/${conversation.id}/invites`, {});
  return { ada, ben, conversation, token: invite.token };
}

const isOf =
  ({ id }) =>
  (payload) =>
    payload.conversationId === id;

test('who comes in by a link is in at once, on all of their sockets, and the room hears of it', async () => {
  const { ada, ben, conversation, token } = await room();
  const adas = await ada.socket({ join: [conversation] });
  const [one, other] = [await ben.socket(), await ben.socket()];
  const seen = (await ben.must('GET', `/api/invites/${token}`)).invite;
  assert.deepEqual([seen.invitedBy.id, seen.members, seen.isMember], [ada.id, 1, false]);
  const joined = (await ben.must('POST', `/api/invites/${token}`)).conversation;
  assert.equal(joined.id, conversation.id);
  for (const socket of [one, other]) await socket.until('conversation:added', isOf(conversation));
  const told = await adas.until('conversation:updated', (payload) => payload.conversation.id === conversation.id);
  assert.deepEqual(told.conversation.memberIds, [ada.id, ben.id]);
  const fresh = (await ada.must('GET', `/api/conversations/${conversation.id}`)).conversation;
  for (const [name, value] of Object.entries(told.conversation)) assert.deepEqual(value, fresh[name], name);

  await ada.must('PATCH', `/api/conversations/${conversation.id}`, {
    title: 'At night',
  });
  await adas.until('conversation:updated', (payload) => payload.conversation.title === 'At night');

  // Both hear both.
  await one.join(conversation);
  model.plan = { ...model.plan, chunks: 4, delayMs: 0 };
  const hers = await adas.send(conversation, 'Good evening #people-1');
  const his = await one.send(conversation, 'Good evening too #people-2');
  for (const socket of [adas, one]) {
    for (const [sent, tag] of [
      [hers, '#people-1'],
      [his, '#people-2'],
    ]) {
      assert.equal((await socket.reply(sent.message.id)).text, expectedReply(tag, 4));
      assertWholeReply(socket, sent.message.id);
    }
  }
  one.io.emit('typing', { conversationId: conversation.id, typing: true });
  assert.equal((await adas.until('typing', ({ userId }) => userId !== undefined)).userId, ben.id);
});

test('what somebody says counts for them, whoever owns the conversation', async () => {
  model.plan = { ...model.plan, chunks: 3, delayMs: 0 };
  const { ada, ben, conversation, token } = await room();
  await ben.must('POST', `/api/invites/${token}`);
  const [adas, bens] = [await ada.socket({ join: [conversation] }), await ben.socket({ join: [conversation] })];
  // The one that sends is told by its acknowledgement, and hears it anew at the begin and the end of a burst.
  const [adasOther, bensOther] = [await ada.socket(), await ben.socket()];
  const used = async (person) => (await person.must('GET', `/api/auth/usage/${conversation.characterId}`)).text.used;
  for (const text of ['One #counts-1', 'Two #counts-2']) {
    const { message } = await bens.send(conversation, text);
    await bens.reply(message.id);
  }
  assert.deepEqual([await used(ada), await used(ben)], [0, 2]);
  const { message } = await adas.send(conversation, 'Three #counts-3');
  await adas.reply(message.id);
  assert.deepEqual([await used(ada), await used(ben)], [1, 2]);
  // Nor is anybody told of another's.
  await adasOther.until('usage:updated');
  assert.deepEqual(adasOther.of('usage:updated').map(({ text }) => text.used), [1]);
  assert.deepEqual(bensOther.of('usage:updated').map(({ text }) => text.used), [1, 2]);
});

test('who is taken out is told, and hears nothing more of the room', async () => {
  model.plan = { ...model.plan, chunks: 3, delayMs: 0 };
  const { ada, ben, conversation, token } = await room();
  await ben.must('POST', `/api/invites/${token}`);
  const adas = await ada.socket({ join: [conversation] });
  const [inside, elsewhere, outside] = [await ben.socket({ join: [conversation] }), await ben.socket({ join: [conversation] }), await ben.socket()];
  const removed = await ada.api('DELETE', `/api/conversations/${conversation.id}/members`, { userId: ben.id });
  assert.equal(removed.status, 204);
  const at = Date.now();
  await sleep(atOnce);
  const { message } = await adas.send(conversation, 'Are we alone? #alone');
  await adas.reply(message.id);
  for (const socket of [inside, elsewhere, outside]) {
    await socket.until('conversation:removed', isOf(conversation));
    const told = socket.seen.findIndex(({ event }) => event === 'conversation:removed');
    assert.ok(socket.seen[told].at - at < 1_000, `after ${socket.seen[told].at - at} ms`);
    const later = socket.seen.slice(told + 1).filter(({ event }) => !event.startsWith('usage:'));
    assert.deepEqual(
      later.map(({ event }) => event),
      [],
      'nothing of the room',
    );
    assert.equal(
      socket.of('message:new').some((payload) => payload.message.id === message.id),
      false,
    );
  }
  const answer = await inside.ask('conversation:join', {
    conversationId: conversation.id,
  });
  assert.equal(answer.error?.code, 'not_found');
  assert.equal((await inside.send(conversation, 'Still here?')).error?.code, 'not_found');
  for (const path of ['', '/messages', '/members', '/state']) {
    assert.equal((await ben.api('GET', `/api/conversations/${conversation.id}${path}`)).status, 404, path);
  }
  const told = await adas.until('conversation:updated', (payload) => payload.conversation.memberIds.length === 1);
  assert.deepEqual(told.conversation.memberIds, [ada.id]);

  assert.equal((await ben.api('POST', `/api/invites/${token}`)).status, 404, 'not by the old link');
  await ada.must('POST', `/api/conversations/${conversation.id}/members`, {
    userId: ben.id,
  });
  for (const socket of [inside, outside]) await socket.until('conversation:added', isOf(conversation));
  await inside.join(conversation);
});

test('what waits of somebody who leaves is answered all the same', async () => {
  model.plan = { chunks: 4, firstMs: 0, delayMs: 0, steps: true };
  const { ada, ben, conversation, token } = await room();
  await ben.must('POST', `/api/invites/${token}`);
  const adas = await ada.socket({ join: [conversation] });
  const bens = await ben.socket({ join: [conversation] });
  const first = await adas.send(conversation, 'Tell me #stay-1');
  const his = await bens.send(conversation, 'And me #stay-2');
  await eventually('the first call', () => model.callsFor('#stay-1').length === 1);
  assert.equal(
    (
      await ben.api('DELETE', `/api/conversations/${conversation.id}/members`, {
        userId: ben.id,
      })
    ).status,
    204,
  );
  await bens.until('conversation:removed', isOf(conversation));
  model.release();
  for (const sent of [first, his]) await adas.reply(sent.message.id);
  assert.equal((await ada.messages(conversation)).find(({ id }) => id === his.message.id).senderId, ben.id);
});

test('a guest stops and asks again for the replies to their own messages alone', async () => {
  model.plan = { chunks: 6, firstMs: 0, delayMs: 0, steps: true };
  const { ada, ben, conversation, token } = await room();
  await ben.must('POST', `/api/invites/${token}`);
  const adas = await ada.socket({ join: [conversation] });
  const bens = await ben.socket({ join: [conversation] });
  const hers = await adas.send(conversation, 'Tell me #mine-1');
  await eventually('the call', () => model.callsFor('#mine-1').length === 1);
  const his = await bens.send(conversation, 'And me #mine-2');
  assert.deepEqual(await bens.ask('message:cancel', { conversationId: conversation.id }), { ok: true });
  const cancelled = await adas.until('message:updated', ({ message }) => message.id === his.message.id);
  assert.equal(cancelled.message.replyState, 'cancelled');
  model.release();
  const reply = await bens.reply(hers.message.id);
  assert.equal(reply.text, expectedReply('#mine-1', 6), 'hers was said to its end');

  const at = `/api/conversations/${conversation.id}/messages`;
  for (const path of [`${reply.id}/regenerate`, `${hers.message.id}/retry`, `${reply.id}/continue`]) {
    const answer = await ben.api('POST', `${at}/${path}`);
    assert.deepEqual([answer.status, answer.body.code], [403, 'forbidden'], path);
  }
  assert.equal((await ben.api('POST', `${at}/${his.message.id}/retry`)).status, 202);
  await adas.reply(his.message.id);
});

test('one link lets in as many as it may, however many come at once', async () => {
  const ada = await server.register();
  const conversation = await ada.conversation();
  const { invite } = await ada.must('POST', `/api/conversations/${conversation.id}/invites`, { maxUses: 3, expiresIn: 3600 });
  const guests = await Promise.all(Array.from({ length: 8 }, () => server.register()));
  const answers = await Promise.all(guests.map((guest) => guest.api('POST', `/api/invites/${invite.token}`)));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 200, 200, 404, 404, 404, 404, 404]);
  const { items } = await ada.must('GET', `/api/conversations/${conversation.id}/members`);
  assert.deepEqual([items.length, items[0].role, items[0].user.id], [4, 'owner', ada.id]);
});

test('a deleted conversation is gone for all its people', async () => {
  const { ada, ben, conversation, token } = await room();
  await ben.must('POST', `/api/invites/${token}`);
  const [adas, bens] = [await ada.socket(), await ben.socket({ join: [conversation] })];
  assert.equal((await ada.api('DELETE', `/api/conversations/${conversation.id}`)).status, 204);
  for (const socket of [adas, bens]) await socket.until('conversation:removed', isOf(conversation));
});
