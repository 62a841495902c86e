// Sending: accepted exactly once for each clientId, counted exactly, refused at exactly the limit, on REST and socket
// alike.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertAllAnsweredOnce } from './checks.mjs';
import { eventually } from './client.mjs';
import { Server } from './server.mjs';

let server;
before(async () => {
  server = await Server.start({ env: { AIM_USAGE__MULTIPLIER: '1' } });
  server.model.plan = { ...server.model.plan, chunks: 2 };
});
after(() => server?.stop());

const textUsage = async (person, conversation) => (await person.must('GET', `/api/auth/usage/${conversation.characterId}`)).text;

test('twenty sends of one clientId make one message, one count and one reply', async () => {
  const ada = await server.register();
  const conversation = await ada.conversation();
  const socket = await ada.socket({ join: [conversation] });
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => (
    i % 2 ? socket.send(conversation, 'Once #twenty', 'same').then((answer) => answer.message)
      : ada.send(conversation, 'Once #twenty', 'same').then(({ body }) => body.message)
  )));
  assert.equal(new Set(answers.map((message) => message.id)).size, 1);
  assert.equal(answers[0].clientId, 'same');
  await socket.reply(answers[0].id);
  assert.deepEqual(await textUsage(ada, conversation), { used: 1, limit: 30, remaining: 29 });
  const messages = await ada.messages(conversation);
  assertAllAnsweredOnce(messages, [answers[0].id]);
  assert.equal(messages.length, 2);
  assert.equal(server.model.callsFor('#twenty').length, 1);
  assert.equal(socket.of('message:new').length, 2);
});

test('the same clientId in another conversation is another message', async () => {
  const ada = await server.register();
  const [one, two] = [await ada.conversation(), await ada.conversation()];
  const first = await ada.send(one, 'Here #twice', 'same');
  const second = await ada.send(two, 'There #twice', 'same');
  assert.deepEqual([first.status, second.status], [202, 202]);
  assert.notEqual(first.body.message.id, second.body.message.id);
});

test('a hundred sends at once on a free account admit exactly thirty', async () => {
  const ada = await server.register();
  const conversation = await ada.conversation();
  const sockets = await Promise.all([1, 2, 3].map(() => ada.socket()));
  const outcomes = await Promise.all(Array.from({ length: 100 }, async (_, i) => {
    const text = `Many #hundred-${i}`;
    if (i % 2) {
      const answer = await sockets[i % 3].send(conversation, text);
      return answer.ok ? answer.message.id : answer.error.code;
    }
    const { status, body } = await ada.send(conversation, text);
    if (status === 402) assert.equal(body.code, 'usage_limit_reached');
    return status === 202 ? body.message.id : body.code;
  }));
  const refused = outcomes.filter((outcome) => outcome === 'usage_limit_reached');
  const admitted = outcomes.filter((outcome) => outcome.includes('-'));
  assert.deepEqual([admitted.length, refused.length], [30, 70]);
  assert.deepEqual(await textUsage(ada, conversation), { used: 30, limit: 30, remaining: 0 });
  await eventually('all thirty replies', async () => (await ada.messages(conversation, '?limit=100')).length === 60, 30_000);
  assertAllAnsweredOnce(await ada.messages(conversation, '?limit=100'), admitted);

  const other = await ada.conversation();
  assert.equal((await ada.send(other, 'Elsewhere #hundred')).status, 202, 'usage counts for each character apart');
});

test('a repeated clientId is answered when the allowance is used up, and counts nothing', async () => {
  const ada = await server.register();
  const conversation = await ada.conversation();
  const first = await ada.send(conversation, 'One #used', 'first');
  for (let i = 1; i < 30; i += 1) assert.equal((await ada.send(conversation, `More #used-${i}`)).status, 202);
  const refused = await ada.send(conversation, 'Too many #used');
  assert.deepEqual([refused.status, refused.body.code], [402, 'usage_limit_reached']);
  const repeated = await ada.send(conversation, 'One #used', 'first');
  assert.deepEqual([repeated.status, repeated.body.message.id], [202, first.body.message.id]);
});

test('usage is told with its reset, to all of the sender’s own sockets and to nobody else', async () => {
  const [ada, ben] = [await server.register(), await server.register()];
  const character = await ada.character();
  const conversation = await ada.conversation(character);
  const before = await ada.must('GET', `/api/auth/usage/${character.id}`);
  assert.equal(before.resetsAt, null);
  const [socket, other, stranger] = [await ada.socket(), await ada.socket(), await ben.socket()];
  await ada.send(conversation, 'Count me #told');
  for (const one of [socket, other]) {
    const told = await one.until('usage:updated');
    assert.equal(told.characterId, character.id);
    assert.deepEqual(told.text, { used: 1, limit: 30, remaining: 29 });
    const hours = (new Date(told.resetsAt) - Date.now()) / 3_600_000;
    assert.ok(hours > 23.9 && hours <= 24, `resets in ${hours} hours`);
  }
  const all = await ada.must('GET', '/api/auth/usage');
  assert.equal(all.tier, 'free');
  assert.deepEqual(all.limits, { text: 30, audio: 5, image: 5 });
  assert.equal(all.characters[character.id].text.used, 1);
  assert.equal(stranger.of('usage:updated').length, 0);
});

test('the socket that sends hears at once what is used, and of a burst the last of it', async () => {
  const ada = await server.register();
  const conversation = await ada.conversation();
  const socket = await ada.socket({ join: [conversation] });
  const began = performance.now();
  await socket.send(conversation, 'One #burst');
  assert.equal((await socket.until('usage:updated')).text.used, 1);
  assert.ok(performance.now() - began < 900, 'before it is quiet');
  for (const n of [2, 3, 4]) await socket.send(conversation, `Then ${n} #burst`);
  await socket.until('usage:updated', ({ text }) => text.used === 4);
  assert.ok(socket.of('usage:updated').length <= 3, JSON.stringify(socket.of('usage:updated')));
});

test('premium is without end, still counted, and takes effect on the running server', async () => {
  const ada = await server.register();
  const conversation = await ada.conversation();
  for (let i = 0; i < 30; i += 1) await ada.send(conversation, `Free #tier-${i}`);
  assert.equal((await ada.send(conversation, 'Refused #tier')).status, 402);
  await server.command(['user', 'set', ada.user.username, '--tier', 'premium']);
  await eventually('premium', async () => (await ada.send(conversation, 'Welcome #tier', 'welcome')).status === 202, 1_000);
  assert.deepEqual(await textUsage(ada, conversation), { used: 31, limit: null, remaining: null });
});

test('what is wrong with a message is said, and nothing is stored or counted', async () => {
  const ada = await server.register();
  const conversation = await ada.conversation();
  const socket = await ada.socket({ join: [conversation] });
  const bad = [
    { type: 'text', text: '', clientId: 'a' },
    { type: 'text', text: '   \n', clientId: 'a' },
    { type: 'text', clientId: 'a' },
    { type: 'text', text: 'x'.repeat(8_001), clientId: 'a' },
    { type: 'text', text: 'no id' },
    { type: 'text', text: 'empty id', clientId: '' },
    { type: 'text', text: 'long id', clientId: 'i'.repeat(65) },
    { type: 'song', text: 'no such kind', clientId: 'a' },
  ];
  for (const body of bad) {
    const answer = await ada.api('POST', `/api/conversations/${conversation.id}/messages`, body);
    assert.deepEqual([answer.status, answer.body.code], [422, 'validation'], JSON.stringify(body).slice(0, 80));
    const told = await socket.ask('message:send', { conversationId: conversation.id, ...body });
    assert.deepEqual([told.ok, told.error?.code], [false, 'validation'], JSON.stringify(body).slice(0, 80));
  }
  assert.equal((await ada.messages(conversation)).length, 0);
  assert.equal((await textUsage(ada, conversation)).used, 0);
  const longest = await ada.send(conversation, '🌊'.repeat(8_000));
  assert.equal(longest.status, 202, 'characters are Unicode scalar values, not UTF-16 units or bytes');
});
