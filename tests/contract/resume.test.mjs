// Coming back: what was missed, and the reply under way, at whichever moment the connection was cut.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { expectedReply } from './checks.mjs';
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

/** What a client shows of one reply: the partial it joined with, and the deltas that came after. */
function textAfterJoin({ partial }, socket) {
  let text = partial?.text ?? '';
  for (const { messageId, offset, text: more } of socket.of('reply:delta')) {
    if (partial && messageId !== partial.messageId) continue;
    assert.ok(offset <= text.length, `a gap: ${offset} after ${text.length}`);
    text = text.slice(0, offset) + more;
  }
  return text;
}

test('at every cut, partial and deltas after it are the same bytes as the reply', async () => {
  const chunks = 9;
  model.plan = { ...model.plan, chunks, delayMs: 0, steps: true };
  const ada = await server.register();
  const conversation = await ada.conversation();
  const watcher = await ada.socket({ join: [conversation] });
  const { message } = await watcher.send(conversation, 'Cut me #cut 🌊');
  const pieces = piecesFor('#cut', chunks);
  const rejoined = [];
  for (let cut = 0; cut < chunks; cut += 1) {
    const said = pieces.slice(0, cut).join('').trimEnd();
    await eventually(`${cut} pieces`, () => watcher.of('reply:delta').map(({ text }) => text).join('').length >= said.length && watcher.of('reply:start').length === 1);
    const socket = await ada.socket();
    const answer = await socket.join(conversation, message.seq - 1);
    assert.deepEqual(answer.messages.map(({ id }) => id), [message.id]);
    assert.equal(answer.state, 'processing');
    assert.equal(answer.partial.inReplyTo, message.id);
    assert.ok(answer.partial.text.startsWith(said), `after ${cut} pieces: ${answer.partial.text}`);
    rejoined.push([answer, socket]);
    model.step();
  }
  model.release();
  const reply = await watcher.reply(message.id);
  assert.equal(reply.text, expectedReply('#cut', chunks));
  for (const [answer, socket] of rejoined) {
    assert.equal((await socket.reply(message.id)).id, answer.partial.messageId);
    assert.equal(textAfterJoin(answer, socket), reply.text);
  }
});

test('joining with afterSeq answers what was missed, without it nothing, and all of it once', async () => {
  model.plan = { ...model.plan, chunks: 2, delayMs: 0, steps: false };
  const ada = await server.register();
  const conversation = await ada.conversation();
  const socket = await ada.socket({ join: [conversation] });
  const first = await socket.send(conversation, 'Before #missed-1');
  const seen = await socket.reply(first.message.id);
  socket.close();
  const sent = await ada.send(conversation, 'Meanwhile #missed-2');
  await ada.replyTo(conversation, sent.body.message.id);

  const again = await ada.socket();
  const missed = await again.join(conversation, seen.seq);
  assert.deepEqual(missed.messages.map(({ seq }) => seq), [seen.seq + 1, seen.seq + 2]);
  assert.deepEqual([missed.state, missed.pending, missed.partial], ['idle', 0, undefined]);
  assert.deepEqual((await again.join(conversation, seen.seq + 2)).messages, []);
  assert.deepEqual((await again.join(conversation)).messages ?? [], []);
  assert.equal((await again.join(conversation, 0)).messages.length, 4);
  assert.deepEqual(again.of('message:new'), [], 'what the join answered is not told again');
});

test('snapshot and events add up: joining in the midst of many messages misses none and repeats none', async () => {
  model.plan = { ...model.plan, chunks: 2 };
  const ada = await server.register();
  const conversation = await ada.conversation();
  const sends = Array.from({ length: 30 }, (_, i) => ada.send(conversation, `Storm #storm-${i}`));
  const views = await Promise.all(Array.from({ length: 5 }, async () => {
    const socket = await ada.socket();
    return { socket, joined: await socket.join(conversation, 0) };
  }));
  await Promise.all(sends);
  await eventually('all replies', async () => (await ada.messages(conversation, '?limit=100')).length === 60, 30_000);
  for (const { socket, joined } of views) {
    await socket.until('message:new', ({ message }) => message.seq === 60).catch(() => {});
    const seqs = [...joined.messages, ...socket.of('message:new').map(({ message }) => message)].map(({ seq }) => seq);
    assert.deepEqual(seqs, Array.from({ length: 60 }, (_, i) => i + 1));
  }
});

test('two hundred at most are answered, and hasMore says that there are more', async () => {
  model.plan = { ...model.plan, chunks: 1 };
  const ada = await server.register();
  const conversation = await ada.conversation();
  for (let i = 0; i < 101; i += 1) await ada.send(conversation, `Long #long-${i}`);
  await eventually('all replies', async () => (await ada.messages(conversation, '?limit=1'))[0].seq === 202, 60_000);
  const socket = await ada.socket();
  const first = await socket.join(conversation, 0);
  assert.deepEqual([first.messages.length, first.messages[0].seq, first.hasMore], [200, 1, true]);
  const rest = await socket.join(conversation, 200);
  assert.deepEqual([rest.messages.map(({ seq }) => seq), Boolean(rest.hasMore)], [[201, 202], false]);

  const page = await ada.must('GET', `/api/conversations/${conversation.id}/messages`);
  assert.deepEqual([page.items.length, page.items[0].seq, page.items.at(-1).seq, page.hasMore], [50, 153, 202, true]);
  const older = await ada.must('GET', `/api/conversations/${conversation.id}/messages?before=153&limit=100`);
  assert.deepEqual([older.items.length, older.items[0].seq, older.items.at(-1).seq], [100, 53, 152]);
  const newer = await ada.must('GET', `/api/conversations/${conversation.id}/messages?after=200`);
  assert.deepEqual([newer.items.map(({ seq }) => seq), newer.hasMore], [[201, 202], false]);
});

test('a reply goes on when nobody watches, and another device finds it', async () => {
  model.plan = { ...model.plan, chunks: 6, delayMs: 40 };
  const ada = await server.register();
  const conversation = await ada.conversation();
  const socket = await ada.socket({ join: [conversation] });
  const { message } = await socket.send(conversation, 'I close the tab #closed');
  await socket.until('reply:delta');
  socket.close();
  const reply = await ada.replyTo(conversation, message.id);
  assert.equal(reply.text, expectedReply('#closed', 6));
});
