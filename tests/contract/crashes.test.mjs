// The power goes off in the middle of replies, and comes back: every accepted message is answered exactly once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertAllAnsweredOnce, expectedReply } from './checks.mjs';
import { eventually } from './client.mjs';
import { Server } from './server.mjs';

/** All messages of a conversation, once each of the accepted ones has its reply. */
async function answered(person, conversation, ids, ms) {
  await eventually(`replies to ${ids.length} messages`, async () => {
    const messages = await person.messages(conversation, '?limit=100');
    return ids.every((id) => messages.some((message) => message.inReplyTo === id));
  }, ms);
  return person.messages(conversation, '?limit=100');
}

test('killed twice in the middle of replies, it answers every accepted message exactly once', async (t) => {
  const server = await Server.start();
  t.after(() => server.stop());
  const { model } = server;
  model.plan = { ...model.plan, chunks: 12, delayMs: 25 };
  const people = await Promise.all(Array.from({ length: 4 }, async () => {
    const person = await server.register();
    return { person, conversation: await person.conversation(), accepted: [] };
  }));
  const callsFor = (text) => model.calls.filter((call) => call.last === text).length;
  /** What was seen answered, and how many calls it had taken by then. */
  const settled = new Map();
  for (let round = 1; round <= 2; round += 1) {
    await Promise.all(people.map(async ({ person, conversation, accepted }, n) => {
      for (let i = 0; i < 3; i += 1) {
        const { status, body } = await person.send(conversation, `Night #kill-${round}-${n}-${i}`);
        assert.equal(status, 202);
        accepted.push(body.message.id);
      }
    }));
    // Some of this round answered, some under way: after the first round the dead server's leases must run out first.
    await eventually('replies, done and under way', async () => {
      for (const { person, conversation } of people) {
        for (const { text, replyState } of await person.messages(conversation)) {
          if (replyState === 'done' && !settled.has(text)) settled.set(text, callsFor(text));
        }
      }
      const underWay = model.calls.some((call) => !call.endedAt && !call.cancelledAt);
      return underWay && settled.size >= 4 * round;
    }, 30_000);
    await server.kill();
    await server.run();
  }
  for (const { person, conversation, accepted } of people) {
    assertAllAnsweredOnce(await answered(person, conversation, accepted, 60_000), accepted);
  }
  for (const [text, calls] of settled) assert.equal(callsFor(text), calls, `what was answered is not asked again: ${text}`);
});

test('a send whose answer was lost in the crash is sent again, and is one message', async (t) => {
  const server = await Server.start();
  t.after(() => server.stop());
  server.model.plan = { ...server.model.plan, chunks: 2 };
  const ada = await server.register();
  const conversation = await ada.conversation();
  const texts = Array.from({ length: 40 }, (_, i) => `Lost #lost-${i}`);
  const inFlight = texts.map((text, i) => ada.send(conversation, text, `id-${i}`).catch(() => undefined));
  await Promise.race(inFlight);
  await server.kill();
  await Promise.all(inFlight);
  await server.run();
  const ids = [];
  for (const [i, text] of texts.entries()) {
    const { status, body } = await ada.send(conversation, text, `id-${i}`);
    assert.equal(status, 202);
    ids.push(body.message.id);
  }
  assert.equal(new Set(ids).size, 40);
  const messages = await answered(ada, conversation, ids, 60_000);
  assert.equal(messages.length, 80);
  assertAllAnsweredOnce(messages, ids);
});

test('a reply that starts anew replaces what was streamed of it', async (t) => {
  const server = await Server.start();
  t.after(() => server.stop());
  const { model } = server;
  model.plan = { ...model.plan, chunks: 10, steps: true };
  const ada = await server.register();
  const conversation = await ada.conversation();
  const first = await ada.socket({ join: [conversation] });
  const { message } = await first.send(conversation, 'Start again #anew');
  model.step(3);
  await first.until('reply:delta');
  const begun = first.of('reply:start')[0].messageId;
  await server.kill();
  await server.run();
  const second = await ada.socket();
  const joined = await second.join(conversation, 0);
  assert.deepEqual(joined.messages.map(({ id }) => id), [message.id]);
  model.release();
  const reply = await second.reply(message.id, 40_000);
  assert.equal(reply.text, expectedReply('#anew', 10));
  assert.notEqual(reply.id, begun);
});

test('told to stop, it lets the replies under way finish, and takes up the rest when it is back', async (t) => {
  const server = await Server.start();
  t.after(() => server.stop());
  const { model } = server;
  model.plan = { ...model.plan, chunks: 10, delayMs: 60 };
  const ada = await server.register();
  const conversation = await ada.conversation();
  const socket = await ada.socket({ join: [conversation] });
  const sent = [];
  for (let i = 0; i < 3; i += 1) sent.push((await socket.send(conversation, `Good night #graceful-${i}`)).message.id);
  await socket.until('reply:delta');
  await server.end();
  await server.run();
  const messages = await answered(ada, conversation, sent, 40_000);
  assertAllAnsweredOnce(messages, sent);
  for (let i = 0; i < 3; i += 1) assert.equal(model.callsFor(`#graceful-${i}`).length, 1, 'no answer was paid twice');
});

test('two processes on one database never claim a message twice, nor answer for a character at once', async (t) => {
  const one = await Server.start();
  t.after(() => one.stop());
  const two = await Server.start({ of: one });
  t.after(() => two.stop());
  const { model } = one;
  model.plan = { ...model.plan, chunks: 4, delayMs: 10 };
  const ada = await one.register();
  const there = two.person({ user: ada.user, token: ada.token });
  const characters = await Promise.all([1, 2, 3].map(() => ada.character()));
  const people = await Promise.all([1, 2, 3, 4].map(() => one.register()));
  const talks = [];
  for (const person of [ada, ...people]) {
    for (const [c, character] of characters.entries()) {
      const conversation = await person.conversation(character);
      talks.push({ c, conversation, at: [person, two.person(person)], accepted: [] });
    }
  }
  await Promise.all(talks.map(async ({ c, conversation, at, accepted }, n) => {
    for (let i = 0; i < 4; i += 1) {
      const { status, body } = await at[(n + i) % 2].send(conversation, `Twins #twins-${c}-${n}-${i}`);
      assert.equal(status, 202);
      accepted.push(body.message.id);
    }
  }));
  for (const { conversation, at, accepted } of talks) {
    assertAllAnsweredOnce(await answered(at[0], conversation, accepted, 90_000), accepted);
  }
  const markers = model.calls.map((call) => call.marker);
  assert.equal(markers.length, talks.length * 4);
  assert.equal(new Set(markers).size, markers.length, 'each message was given to the model once');
  for (const c of characters.keys()) {
    const calls = model.calls.filter((call) => call.marker.startsWith(`#twins-${c}-`)).toSorted((a, b) => a.at - b.at);
    for (const [i, call] of calls.entries()) {
      if (i > 0) assert.ok(call.at >= calls[i - 1].endedAt, `character ${c} gives one reply at a time`);
    }
  }
  assert.equal((await there.api('GET', '/api/auth/me')).status, 200);
  await ada.api('POST', '/api/auth/logout');
  await eventually('the revocation at the other server', async () => (await there.api('GET', '/api/auth/me')).status === 401, 1_500);
});
