// Chats of SillyTavern: taken in as they were, refused by the line that is wrong, and given back in the same form.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Server } from './server.mjs';

let server;
let model;
before(async () => {
  server = await Server.start();
  model = server.model;
});
after(() => server?.stop());

const NAMES = { user_name: 'Ann', character_name: 'Mara', create_date: '2024-1-5@14h03m22s', chat_metadata: { note_prompt: '' } };
const SAID = [
  { name: 'Mara', is_user: false, is_system: false, send_date: 'January 5, 2024 2:03pm', mes: 'Ahoy, {{user}}.', extra: {} },
  { name: 'Ann', is_user: true, is_system: false, send_date: 'January 5, 2024 2:04pm', mes: 'Where are we? #chat-where', extra: {} },
  {
    name: 'Mara', is_user: false, is_system: false, send_date: '2024-1-5 @14h 05m 22s 123ms', mes: 'Off the reef.', swipe_id: 1,
    swipes: ['Lost.', 'Off the reef.'], extra: { api: 'openai', model: 'x' },
  },
];

const jsonl = (...lines) => lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n');

async function send(person, characterId, content) {
  const form = new FormData();
  form.append('file', new Blob([content]), 'chat.jsonl');
  const answer = await fetch(`${server.url}/api/conversations/import?characterId=${characterId}`, {
    method: 'POST', headers: { authorization: `Bearer ${person.token}` }, body: form,
  });
  return { status: answer.status, body: await answer.json(), headers: answer.headers };
}

test('a chat becomes a conversation, as it was, and goes on', async () => {
  const ada = await server.register();
  const character = await ada.character({ name: 'Mara' });
  const note = { name: 'System', is_user: false, is_system: true, mes: 'Welcome', extra: { type: 'welcome' } };
  const { status, body, headers } = await send(ada, character.id, jsonl(NAMES, note, ...SAID));
  assert.equal(status, 201, JSON.stringify(body));
  const { conversation, messages: count, leftOut } = body;
  assert.deepEqual([count, leftOut], [3, 1]);
  assert.match(headers.get('ratelimit-policy'), /"upload"/);
  assert.deepEqual([conversation.ownerId, conversation.characterId, conversation.lastSeq, conversation.unread], [ada.id, character.id, 3, 0]);
  const messages = await ada.messages(conversation);
  assert.deepEqual(messages.map(({ seq, role, text, createdAt }) => [seq, role, text, createdAt]), [
    [1, 'character', 'Ahoy, {{user}}.', '2024-01-05T14:03:00.000Z'],
    [2, 'user', 'Where are we? #chat-where', '2024-01-05T14:04:00.000Z'],
    [3, 'character', 'Off the reef.', '2024-01-05T14:05:22.000Z'],
  ]);
  assert.deepEqual([messages[1].replyState, messages[2].inReplyTo, messages[2].variants], ['done', messages[1].id, { count: 2, selected: 1 }]);
  // Nothing was sent, and nothing is answered.
  assert.deepEqual((await ada.must('GET', '/api/auth/usage')).characters, {});
  assert.equal((await ada.must('GET', `/api/conversations/${conversation.id}/state`)).state, 'idle');
  assert.equal(model.callsFor('#chat-where').length, 0);
  // It is the one of this pair by now, and its last reply is like any other.
  const opened = await ada.api('POST', '/api/conversations', { characterId: character.id });
  assert.deepEqual([opened.status, opened.body.conversation.id], [200, conversation.id]);
  const chosen = await ada.must('PUT', `/api/conversations/${conversation.id}/messages/${messages[2].id}/variant`, { selected: 0 });
  assert.equal(chosen.message.text, 'Lost.');
  model.plan = { chunks: 4, firstMs: 0, delayMs: 0, steps: false };
  const socket = await ada.socket({ join: [conversation] });
  const next = await socket.send(conversation, 'And now? #chat-next');
  assert.equal(next.message.seq, 4);
  await socket.reply(next.message.id);
  const read = model.callsFor('#chat-next')[0].messages.map(({ text }) => text);
  assert.deepEqual(read.slice(-4), ['Ahoy, {{user}}.', 'Where are we? #chat-where', 'Lost.', 'And now? #chat-next']);
});

test('what was said elsewhere is answered anew by no model, nor in a branch of it, until something is said here', async () => {
  const ada = await server.register();
  const { id } = await ada.character();
  const asked = { is_user: true, mes: 'Anybody?' };
  const { body: unanswered } = await send(ada, id, jsonl(NAMES, { is_user: true, mes: 'First' }, asked));
  const { body: answered } = await send(ada, id, jsonl(NAMES, asked, { is_user: false, mes: 'Here.' }));
  const refused = async (conversation, method, rest, body) =>
    assert.equal((await ada.api(method, `/api/conversations/${conversation.id}/messages/${rest}`, body)).status, 409, rest);
  const [, last] = await ada.messages(unanswered.conversation);
  assert.deepEqual([last.replyState, unanswered.conversation.importedSeq], ['done', 2]);
  await refused(unanswered.conversation, 'POST', `${last.id}/retry`);
  await refused(unanswered.conversation, 'PATCH', last.id, { text: 'Else?' });
  const [, reply] = await ada.messages(answered.conversation);
  const at = `/api/conversations/${answered.conversation.id}/branch`;
  const branch = (await ada.must('POST', at, { messageId: reply.id })).conversation;
  const [, copied] = await ada.messages(branch);
  for (const [conversation, message] of [[answered.conversation, reply], [branch, copied]]) {
    await refused(conversation, 'POST', `${message.id}/regenerate`);
    await refused(conversation, 'POST', `${message.id}/continue`);
  }
  // What one says here is one's own, as ever.
  const sent = await ada.send(unanswered.conversation, 'And now? #chat-again');
  const said = await ada.replyTo(unanswered.conversation, sent.body.message.id);
  await ada.must('POST', `/api/conversations/${unanswered.conversation.id}/messages/${said.id}/regenerate`);
});

test('a file is refused by the line that is wrong, and nothing of it is there', async () => {
  const ada = await server.register();
  const { id } = await ada.character();
  const good = { is_user: true, mes: 'Fine' };
  for (const [content, says] of [
    [jsonl(NAMES, good, '{"mes": '), /Line 3 is not valid JSON/],
    [jsonl(NAMES, good, good, { name: 'Ann' }), /Line 4 is no message/],
    [jsonl(NAMES, { mes: 'x'.repeat(8_001) }), /Line 2 has more than 8000 characters/],
    [jsonl(NAMES, good, { mes: 'a\0b' }), /Line 3 has a character that cannot be stored/],
    [jsonl(NAMES, `{"mes":${'['.repeat(5_000)}`), /Line 2 is nested too deep/],
    [jsonl(NAMES), /no message/],
    [JSON.stringify({ spec: 'chara_card_v2', data: {} }), /no chat of SillyTavern/],
    [Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0a]), /Line 1 is not UTF-8/],
    ['', /no message/],
  ]) {
    const { status, body } = await send(ada, id, content);
    assert.deepEqual([status, body.code, body.errors[0].field], [422, 'validation', 'file'], String(content).slice(0, 80));
    assert.match(body.errors[0].message, says);
  }
  const { items } = await ada.must('GET', '/api/conversations');
  assert.deepEqual(items, []);
  const none = await ada.api('POST', `/api/conversations/import?characterId=${id}`, { file: 'no form' });
  assert.equal(none.status, 415);
});

test('a file that is too large is refused', async () => {
  const ada = await server.register();
  const { id } = await ada.character();
  const line = JSON.stringify({ is_user: true, mes: 'x', extra: 'y'.repeat(1 << 20) });
  const { status, body } = await send(ada, id, jsonl(NAMES, ...Array.from({ length: 17 }, () => line)));
  assert.deepEqual([status, body.errors[0].message], [422, 'has more than 16 MB']);
});

test('a chat goes on with those characters that one may begin to talk with', async () => {
  const [ada, ben] = [await server.register(), await server.register()];
  const mine = await ada.character({ visibility: 'private' });
  const chat = jsonl(NAMES, ...SAID);
  assert.equal((await send(ben, mine.id, chat)).status, 404);
  assert.equal((await send(ben, 'nobody', chat)).status, 404);
  assert.equal((await send(ada, mine.id, chat)).status, 201);
});

test('a conversation is a chat again, with what a member may see', async () => {
  const [ada, ben] = [await server.register(), await server.register()];
  const { id } = await ada.character({ name: 'Mara' });
  const { body: { conversation } } = await send(ada, id, jsonl(NAMES, ...SAID));
  await ada.must('POST', `/api/conversations/${conversation.id}/members`, { userId: ben.id });
  const save = async (person) => {
    const answer = await fetch(`${server.url}/api/conversations/${conversation.id}/export`, { headers: { authorization: `Bearer ${person.token}` } });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('content-type'), 'application/jsonl');
    assert.match(answer.headers.get('content-disposition'), /^attachment; filename\*=UTF-8''Mara%2Ejsonl$/);
    const text = await answer.text();
    assert.ok(text.endsWith('\n'));
    return { text, lines: text.trim().split('\n').map((line) => JSON.parse(line)) };
  };
  const { text, lines: [names, ...said] } = await save(ada);
  assert.deepEqual([names.user_name, names.character_name], [ada.user.displayName, 'Mara']);
  assert.deepEqual(said.map(({ name, is_user: isUser, mes, send_date: at }) => [name, isUser, mes, at]), [
    ['Mara', false, 'Ahoy, {{user}}.', '2024-01-05T14:03:00.000Z'],
    [ada.user.displayName, true, 'Where are we? #chat-where', '2024-01-05T14:04:00.000Z'],
    ['Mara', false, 'Off the reef.', '2024-01-05T14:05:22.000Z'],
  ]);
  assert.deepEqual([said[2].swipes, said[2].swipe_id], [['Lost.', 'Off the reef.'], 1]);
  // The swipes are for those who may choose among them.
  assert.deepEqual((await save(ben)).lines.map(({ swipes }) => swipes), [undefined, undefined, undefined, undefined]);
  const again = await send(ada, id, text);
  const copy = await ada.messages(again.body.conversation);
  const was = await ada.messages(conversation);
  const same = ({ seq, role, text: words, createdAt, variants }) => ({ seq, role, words, createdAt, variants });
  assert.deepEqual(copy.map(same), was.map(same));
});

test('a long chat comes whole', async () => {
  const ada = await server.register();
  const { id } = await ada.character();
  const lines = Array.from({ length: 2_000 }, (_, n) => ({ is_user: n % 2 === 1, mes: `Line ${n} of a long story. ${'word '.repeat(60)}` }));
  const began = performance.now();
  const { status, body } = await send(ada, id, jsonl(NAMES, ...lines));
  assert.deepEqual([status, body.messages, body.conversation.lastSeq], [201, 2_000, 2_000]);
  assert.ok(performance.now() - began < 20_000);
  const answer = await fetch(`${server.url}/api/conversations/${body.conversation.id}/export`, { headers: { authorization: `Bearer ${ada.token}` } });
  assert.equal((await answer.text()).trim().split('\n').length, 2_001);
});
