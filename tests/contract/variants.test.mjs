// Changing what was said last: variants of a reply, going on with it, putting it or asking in other words.

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

const at = (conversation, message, what) => `/api/conversations/${conversation.id}/messages/${message.id}${what}`;

/** What one socket saw of an answer anew from `from` on: start, deltas without a gap, and the reply that they add up to. */
async function assertAnsweredAnew(socket, from, asked, reply, matches) {
  const { message } = await eventually('the reply as it is now', () => (
    socket.seen.slice(from).find(({ event, payload }) => event === 'message:updated' && payload.message.id === reply.id && matches(payload.message))?.payload
  ));
  const seen = socket.seen.slice(from);
  const started = seen.findIndex(({ event }) => event === 'reply:start');
  const stored = seen.findIndex(({ event, payload }) => event === 'message:updated' && payload.message.id === reply.id);
  const due = seen.findIndex(({ event, payload }) => event === 'message:updated' && payload.message.id === asked.id && payload.message.replyState === 'due');
  assert.ok(due >= 0 && due < started && started < stored, seen.map(({ event }) => event).join(' '));
  assert.deepEqual(seen[started].payload, { conversationId: reply.conversationId, messageId: reply.id, inReplyTo: asked.id });
  let text = '';
  for (const { event, payload } of seen.slice(0, stored)) {
    if (event !== 'reply:delta') continue;
    assert.equal(payload.messageId, reply.id);
    assert.equal(payload.offset, text.length);
    text += payload.text;
  }
  assert.equal(text, message.text);
  assert.deepEqual([message.seq, message.inReplyTo], [reply.seq, asked.id]);
  assert.equal(seen.some(({ event }) => event === 'message:new'), false, 'no new message');
  await eventually('the end', () => socket.seen.slice(from).some(({ event, payload }) => (
    event === 'message:updated' && payload.message.id === asked.id && payload.message.replyState === 'done'
  )));
  return message;
}

async function talk(text) {
  model.plan = { chunks: 6, firstMs: 0, delayMs: 0, steps: false };
  const ada = await server.register();
  const conversation = await ada.conversation();
  const socket = await ada.socket({ join: [conversation] });
  const sent = await socket.send(conversation, text);
  const reply = await socket.reply(sent.message.id);
  await socket.until('message:updated', ({ message }) => message.id === sent.message.id && message.replyState === 'done');
  return { ada, conversation, socket, asked: sent.message, reply };
}

test('a reply is answered anew in its place, and a variant is chosen', async () => {
  const { ada, conversation, socket, asked, reply } = await talk('Once more #variant');
  assert.equal(reply.variants, undefined);
  model.plan = { ...model.plan, chunks: 9 };
  const from = socket.seen.length;
  const again = await ada.api('POST', at(conversation, reply, '/regenerate'));
  assert.equal(again.status, 202, JSON.stringify(again.body));
  assert.deepEqual([again.body.message.id, again.body.message.replyState], [asked.id, 'due']);
  const anew = await assertAnsweredAnew(socket, from, asked, reply, ({ variants }) => variants?.count === 2);
  assert.deepEqual(anew.variants, { count: 2, selected: 1 });
  assert.notEqual(anew.text, reply.text);
  assert.deepEqual((await ada.messages(conversation)).at(-1), anew);

  const chosen = await ada.api('PUT', at(conversation, reply, '/variant'), { selected: 0 });
  assert.equal(chosen.status, 202);
  const told = await socket.until('message:updated', ({ message }) => message.id === reply.id && message.variants?.selected === 0);
  assert.deepEqual(told.message, chosen.body.message);
  assert.equal(told.message.text, reply.text);
  assert.equal((await ada.api('PUT', at(conversation, reply, '/variant'), { selected: 2 })).body.code, 'validation');

  const next = await socket.send(conversation, 'And now #variant-next');
  await socket.reply(next.message.id);
  const read = model.callsFor('#variant-next')[0].messages.map(({ text }) => text);
  assert.ok(read.includes(reply.text) && !read.includes(anew.text), 'the model reads the chosen one');
  const late = await ada.api('POST', at(conversation, reply, '/regenerate'));
  assert.deepEqual([late.status, late.body.code], [409, 'conflict']);
});

test('a stopped answer anew keeps the text so far as a variant', async () => {
  const { ada, conversation, socket, asked, reply } = await talk('Stop it #variant-stop');
  model.plan = { chunks: 20, firstMs: 0, delayMs: 0, steps: true };
  const from = socket.seen.length;
  await ada.must('POST', at(conversation, asked, '/regenerate'));
  await eventually('the call', () => model.callsFor('#variant-stop').length === 2);
  model.step(4);
  await eventually('some text', () => socket.seen.slice(from).some(({ event }) => event === 'reply:delta'));
  await ada.must('POST', `/api/conversations/${conversation.id}/cancel`);
  const stopped = await assertAnsweredAnew(socket, from, asked, reply, ({ variants }) => variants?.count === 2);
  assert.ok(stopped.text.startsWith('About #variant-stop') && !stopped.text.includes('indeed'), stopped.text);
  model.release();
});

test('an answer anew outlives the server that gives it, and whoever joins gets it so far', async () => {
  const { ada, conversation, asked, reply } = await talk('Survive #variant-kill');
  model.plan = { chunks: 12, firstMs: 0, delayMs: 0, steps: true };
  await ada.must('POST', at(conversation, reply, '/regenerate'));
  await eventually('the call', () => model.callsFor('#variant-kill').length === 2);
  model.step(3);
  const late = await ada.socket();
  const joined = await eventually('what was said so far', async () => {
    const answer = await late.join(conversation, asked.seq - 1);
    return answer.partial?.text.length > 3 && answer;
  });
  assert.deepEqual([joined.partial.messageId, joined.partial.inReplyTo], [reply.id, asked.id]);
  assert.deepEqual(joined.messages.map(({ id }) => id), [asked.id, reply.id]);
  await server.kill();
  model.release();
  await server.run();
  const anew = await eventually('the variant', async () => (
    (await ada.messages(conversation)).find(({ variants }) => variants?.count === 2)
  ), 30_000);
  assert.deepEqual([anew.id, anew.seq], [reply.id, reply.seq]);
  assert.deepEqual((await ada.messages(conversation)).map(({ seq }) => seq), [1, 2]);
});

test('a reply goes on, and a message is asked again in other words', async () => {
  const { ada, conversation, socket, asked, reply } = await talk('Go on #more');
  let from = socket.seen.length;
  await ada.must('POST', at(conversation, reply, '/continue'));
  const longer = await assertAnsweredAnew(socket, from, asked, reply, ({ text }) => text.length > reply.text.length);
  assert.ok(longer.text.startsWith(`${reply.text} `), longer.text);
  assert.equal(longer.variants, undefined);

  from = socket.seen.length;
  const edited = await ada.api('PATCH', at(conversation, asked, ''), { text: 'In other words #other' });
  assert.equal(edited.status, 202, JSON.stringify(edited.body));
  assert.deepEqual([edited.body.message.id, edited.body.message.seq, edited.body.message.text], [asked.id, asked.seq, 'In other words #other']);
  const anew = await assertAnsweredAnew(socket, from, asked, reply, ({ variants }) => variants?.count === 2);
  assert.ok(anew.text.startsWith('About #other'), anew.text);
});

test('a reply says what it is told to, and the model reads that', async () => {
  const { ada, conversation, socket, reply } = await talk('Tell me #revise');
  const calls = model.callsFor('#revise').length;
  const usage = await ada.must('GET', `/api/auth/usage/${conversation.characterId}`);
  const revised = await ada.api('PATCH', at(conversation, reply, ''), { text: 'The lamp went out at nine.' });
  assert.equal(revised.status, 202, JSON.stringify(revised.body));
  const { message } = revised.body;
  assert.deepEqual({ ...message, personality: null }, { ...reply, text: 'The lamp went out at nine.', personality: null });
  const told = await socket.until('message:updated', (event) => event.message.id === reply.id);
  assert.deepEqual(told.message, message);
  assert.deepEqual((await ada.messages(conversation)).at(-1), message);
  assert.equal(model.callsFor('#revise').length, calls, 'no model is asked');
  assert.deepEqual(await ada.must('GET', `/api/auth/usage/${conversation.characterId}`), usage, 'and nothing is counted');
  const found = async (words) => (await ada.must('GET', `/api/search?q=${words}`)).messages.filter(({ message: one }) => one.id === reply.id).length;
  assert.deepEqual([await found('lamp nine'), await found('revise')], [1, 0]);
  for (const text of ['', '  ', 'x'.repeat(8_001)]) {
    const refused = await ada.api('PATCH', at(conversation, reply, ''), { text });
    assert.deepEqual([refused.status, refused.body.errors[0].field], [422, 'text']);
  }
  model.plan = { ...model.plan, steps: true };
  const next = await socket.send(conversation, 'And now #revise-next');
  const busy = await ada.api('PATCH', at(conversation, reply, ''), { text: 'Late' });
  assert.deepEqual([busy.status, busy.body.code], [409, 'conflict']);
  model.release();
  await socket.reply(next.message.id);
  const read = model.callsFor('#revise-next')[0].messages.map(({ text }) => text);
  assert.ok(read.includes('The lamp went out at nine.') && !read.includes(reply.text), read.join(' | '));
});

test('of a room its owner and whoever asked put a reply in other words, on every screen', async () => {
  const { ada, conversation, reply } = await talk('Ours #revise-room');
  const ben = await server.register();
  await ada.must('POST', `/api/conversations/${conversation.id}/members`, { userId: ben.id });
  const refused = await ben.api('PATCH', at(conversation, reply, ''), { text: 'Mine' });
  assert.deepEqual([refused.status, refused.body.code], [403, 'forbidden']);
  const bens = await ben.socket({ join: [conversation] });
  const asked = await bens.send(conversation, 'And I #revise-guest');
  const answer = await bens.reply(asked.message.id);
  await bens.until('message:updated', ({ message }) => message.id === asked.message.id && message.replyState === 'done');
  await ben.must('PATCH', at(conversation, answer, ''), { text: 'As Ben says.' });
  await ada.must('PATCH', at(conversation, answer, ''), { text: 'As Ada says.' });
  await bens.until('message:updated', ({ message }) => message.text === 'As Ada says.');
});

test("what is somebody else's is not found", async () => {
  const { conversation, asked, reply } = await talk('Mine #variant-mine');
  const ben = await server.register();
  for (const [method, message, what, body] of [
    ['POST', reply, '/regenerate'],
    ['POST', reply, '/continue'],
    ['PUT', reply, '/variant', { selected: 0 }],
    ['PATCH', asked, '', { text: 'Yours' }],
    ['PATCH', reply, '', { text: 'Yours' }],
  ]) {
    const answer = await ben.api(method, at(conversation, message, what), body);
    assert.deepEqual([answer.status, answer.body.code], [404, 'not_found'], what);
  }
});
