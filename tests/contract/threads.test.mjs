// What becomes of a conversation besides being talked in: its end is removed, it is branched, deleted and had back, and read.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from './client.mjs';
import { Server } from './server.mjs';

let server;
let model;
before(async () => {
  server = await Server.start();
  model = server.model;
});
after(() => server?.stop());

/** Says something on a socket that is in the room; the message and its reply, once all is told. */
async function exchange(socket, conversation, text) {
  const { message } = await socket.send(conversation, text);
  const reply = await socket.reply(message.id);
  await socket.until('message:updated', ({ message: { id, replyState } }) => id === message.id && replyState === 'done');
  return [message, reply];
}

async function begin() {
  model.plan = { chunks: 4, firstMs: 0, delayMs: 0, steps: false };
  const ada = await server.register();
  const conversation = await ada.conversation();
  const socket = await ada.socket({ join: [conversation] });
  return { ada, conversation, socket };
}

const at = ({ id }, what = '') => `/api/conversations/${id}${what}`;

test('the last exchange is removed, and everyone in the room sees the same', async () => {
  const { ada, conversation, socket } = await begin();
  const other = await ada.socket({ join: [conversation] });
  await exchange(socket, conversation, 'Stays #one');
  const [asked, reply] = await exchange(socket, conversation, 'Goes #two');
  const gone = await ada.api('DELETE', at(conversation, `/messages/${asked.id}`));
  assert.equal(gone.status, 204, JSON.stringify(gone.body));
  for (const one of [socket, other]) {
    const told = await one.until('message:removed', ({ conversationId }) => conversationId === conversation.id);
    assert.deepEqual(told, { conversationId: conversation.id, fromSeq: asked.seq, removals: 1, messageIds: [asked.id, reply.id] });
  }
  assert.deepEqual((await ada.messages(conversation)).map(({ seq }) => seq), [1, 2]);
  const now = (await ada.must('GET', at(conversation))).conversation;
  assert.deepEqual([now.lastSeq, now.removals], [2, 1]);

  const [anew] = await exchange(other, conversation, 'In its place #three');
  assert.equal(anew.seq, asked.seq);
  for (const one of [socket, other]) {
    const order = await eventually('both', () => {
      const seen = one.seen.filter(({ event, payload }) => (
        (event === 'message:new' && payload.message.seq === asked.seq) || event === 'message:removed'
      ));
      return seen.length === 3 && seen.map(({ event, payload }) => payload.message?.id ?? event);
    });
    assert.deepEqual(order, [asked.id, 'message:removed', anew.id]);
  }
  const read = model.callsFor('#three')[0].messages.map(({ text }) => text).join('\n');
  assert.ok(read.includes('#one') && !read.includes('#two'), 'the model reads nothing of what was removed');
});

test('who was away while the end was removed and written anew is told so by the join', async () => {
  const { ada, conversation, socket } = await begin();
  const [asked] = await exchange(socket, conversation, 'One way');
  const away = await ada.socket();
  const first = await away.join(conversation, 0);
  assert.deepEqual([first.removals, first.messages.length], [0, 2]);
  away.close();
  await ada.must('DELETE', at(conversation, `/messages/${asked.id}`));
  await exchange(socket, conversation, 'Another way');
  const back = await ada.socket();
  const joined = await eventually('the removal, known wherever it joins', async () => {
    const answer = await back.join(conversation, 2);
    return answer.removals === 1 && answer;
  });
  assert.deepEqual(joined.messages, [], 'seq alone would tell nothing');
  assert.equal((await ada.messages(conversation))[0].text, 'Another way');
});

test('a message that waits, and what is not one’s own, is not removed', async () => {
  const { ada, conversation, socket } = await begin();
  const bob = await server.register();
  await ada.must('POST', at(conversation, '/members'), { userId: bob.id });
  const [asked, reply] = await exchange(socket, conversation, 'Mine');
  const refused = async (who, message) => {
    const answer = await who.api('DELETE', at(conversation, `/messages/${message.id}`));
    return [answer.status, answer.body.code];
  };
  assert.deepEqual(await refused(bob, asked), [403, 'forbidden']);
  assert.deepEqual(await refused(ada, reply), [409, 'conflict']);
  model.plan = { chunks: 4, firstMs: 0, delayMs: 0, steps: true };
  const { message } = await socket.send(conversation, 'Due');
  assert.deepEqual(await refused(ada, message), [409, 'conflict']);
  model.release();
  await socket.reply(message.id);
});

test('a branch goes its own way', async () => {
  const { ada, conversation, socket } = await begin();
  await exchange(socket, conversation, 'Common #root');
  const [, reply] = await exchange(socket, conversation, 'Left #left');
  const before = await ada.messages(conversation);
  const { conversation: branch } = await ada.must('POST', at(conversation, '/branch'), { messageId: before[1].id });
  assert.deepEqual(branch.branchOf, { conversationId: conversation.id, seq: 2 });
  assert.equal(branch.title, 'Mara (branch)');
  assert.deepEqual((await ada.messages(branch)).map(({ text }) => text), before.slice(0, 2).map(({ text }) => text));
  await socket.join(branch);
  await exchange(socket, branch, 'Right #right');
  const read = model.callsFor('#right')[0].messages.map(({ text }) => text).join('\n');
  assert.ok(read.includes('#root') && !read.includes('#left'));
  assert.deepEqual((await ada.messages(conversation)).at(-1).id, reply.id);
  const again = await ada.api('POST', '/api/conversations', { characterId: conversation.characterId });
  assert.deepEqual([again.status, again.body.conversation.id], [200, conversation.id]);
});

test('a deleted conversation is gone at once for all, and comes back whole', async () => {
  const { ada, conversation, socket } = await begin();
  const bob = await server.register();
  await ada.must('POST', at(conversation, '/members'), { userId: bob.id });
  const theirs = await bob.socket({ join: [conversation] });
  await exchange(socket, conversation, 'Kept');
  const before = await ada.messages(conversation);
  assert.equal((await ada.api('DELETE', at(conversation))).status, 204);
  await eventually('nobody gets in', async () => (await theirs.ask('conversation:join', { conversationId: conversation.id })).error?.code === 'not_found');
  assert.equal((await theirs.send(conversation, 'Hello?')).error.code, 'not_found');
  assert.deepEqual((await bob.must('GET', '/api/conversations')).items, []);
  assert.deepEqual((await ada.must('GET', '/api/conversations?deleted=true')).items.map(({ id }) => id), [conversation.id]);
  await ada.must('POST', at(conversation, '/restore'));
  assert.deepEqual(await bob.messages(conversation), before);
  await theirs.join(conversation);
  const { message } = await theirs.send(conversation, 'Here again');
  await theirs.reply(message.id);
});

test('who looks elsewhere hears what is said, and other devices hear what was read', async () => {
  const { ada, conversation, socket } = await begin();
  const elsewhere = await ada.socket();
  const [asked, reply] = await exchange(socket, conversation, 'Anybody there?');
  for (const message of [asked, reply]) {
    const told = await elsewhere.until('conversation:activity', ({ lastSeq }) => lastSeq === message.seq);
    assert.deepEqual([told.conversationId, told.lastMessage.id], [conversation.id, message.id]);
  }
  assert.deepEqual(socket.of('conversation:activity'), [], 'its room tells it already');
  const item = async () => (await ada.must('GET', '/api/conversations')).items[0];
  assert.equal((await item()).unread, 1);
  assert.deepEqual(await elsewhere.ask('conversation:read', { conversationId: conversation.id, seq: reply.seq }), { ok: true });
  const told = await socket.until('conversation:read', ({ conversationId }) => conversationId === conversation.id);
  assert.deepEqual(told, { conversationId: conversation.id, seq: reply.seq, unread: 0 });
  assert.deepEqual(elsewhere.of('conversation:read'), [], 'who read it knows');
  assert.equal((await item()).unread, 0);
  const stranger = await server.register();
  const refused = await (await stranger.socket()).ask('conversation:read', { conversationId: conversation.id, seq: 1 });
  assert.equal(refused.error.code, 'not_found');
});

test('the same pair has its conversation when others may begin none any more', async () => {
  const [ada, bea] = [await server.register(), await server.register()];
  const character = await ada.character();
  const begun = await bea.conversation(character);
  const again = (form = {}) => bea.api('POST', '/api/conversations', { characterId: character.id, ...form });
  const ends = [
    () => ada.must('PATCH', `/api/characters/${character.id}`, { visibility: 'private' }),
    () => ada.must('DELETE', `/api/characters/${character.id}`),
  ];
  for (const end of ends) {
    await end();
    const { status, body } = await again();
    assert.deepEqual([status, body.conversation?.id], [200, begun.id], JSON.stringify(body));
    assert.equal((await again({ new: true })).status, 404);
    const other = await server.register();
    assert.equal((await other.api('POST', '/api/conversations', { characterId: character.id })).status, 404);
  }
  await bea.must('DELETE', at(begun));
  assert.equal((await again()).status, 404);
});
