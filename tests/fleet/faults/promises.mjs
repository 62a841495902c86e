// What is promised whatever breaks: one function a promise.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Socket, eventually, request } from '../../contract/client.mjs';
import { percentile } from './probes.mjs';

/** Machines that run tests are busy: times are held against so many times what is promised. */
const slack = 5;

const byToken = ({ url }, { token }, where) => request({ url }, 'GET', where, undefined, { authorization: `Bearer ${token}` });

/** All messages of a conversation, page by page. */
async function stored(server, { person, conversation }) {
  const items = [];
  for (;;) {
    const { status, body } = await byToken(server, person, `/api/conversations/${conversation.id}/messages?after=${items.length}&limit=100`);
    assert.equal(status, 200, JSON.stringify(body));
    items.push(...body.items);
    if (!body.hasMore) return items;
  }
}

/** Waits until every acknowledged message has its reply; answers what is stored, by conversation. */
export async function quiet({ talks: many, watched, fleet: { servers } }, ms = 120_000) {
  const talks = [...many, watched];
  const found = new Map();
  const missing = () => talks.flatMap((talk) => {
    const answered = new Set((found.get(talk) ?? []).map(({ inReplyTo }) => inReplyTo));
    return talk.sent.filter(({ id }) => !answered.has(id));
  });
  const what = () => {
    const waiting = missing();
    const example = waiting[0] && found.get(waiting[0].talk)?.find(({ id }) => id === waiting[0].id);
    return `replies to ${waiting.length} messages, such as ${JSON.stringify(example)}`;
  };
  await eventually(what, async () => {
    const unfinished = new Set([...missing().map(({ talk }) => talk), ...talks.filter((talk) => !found.has(talk))]);
    await Promise.all([...unfinished].map(async (talk, i) => found.set(talk, await stored(servers[i % servers.length], talk))));
    await sleep(200);
    return missing().length === 0;
  }, ms);
  return found;
}

export function everyMessageIsStoredAndAnsweredOnce(found) {
  for (const [talk, messages] of found) {
    assert.deepEqual(messages.map(({ seq }) => seq), messages.map((_, i) => i + 1), 'seq counts without a gap');
    assert.equal(messages.length, talk.sent.length * 2, 'nothing is stored but what was sent and its replies');
    for (const { id, marker, seq } of talk.sent) {
      const own = messages.filter((message) => message.id === id);
      assert.deepEqual(own.map((message) => [message.seq, message.replyState]), [[seq, 'done']], `${marker} is stored once, and done`);
      const replies = messages.filter(({ inReplyTo }) => inReplyTo === id);
      assert.equal(replies.length, 1, `${marker} has one reply`);
      assert.ok(replies[0].text.includes(`#${marker} `), `${marker} has its own reply, not: ${replies[0].text}`);
    }
  }
}

/** From the end of the model's answer to the commit of the reply, where the machine is busy. */
const committingMs = 500;

/** `cutAt`: when replies were cut off with the process that gave them; each of those may have been asked for once more. */
export function theModelIsPaidOnce({ sent, fleet: { model } }, cutAt) {
  for (const { marker } of sent) {
    const calls = model.callsFor(`#${marker}`);
    const wasCut = calls.some(({ at, endedAt }) => at <= cutAt && (endedAt ?? Infinity) >= cutAt - committingMs);
    const most = wasCut ? 2 : 1;
    assert.ok(calls.length >= 1 && calls.length <= most, `${marker}: ${calls.length} calls, ${most} at the most: ${JSON.stringify(
      calls.map(({ at, endedAt, cancelledAt }) => ({ at: at - cutAt, endedAt: endedAt - cutAt, cancelledAt: cancelledAt - cutAt })),
    )}`);
  }
}

/** What people are told was used is what was acknowledged, at every server. */
export async function usageIsExact({ people, fleet: { servers } }) {
  for (const person of people) {
    const expected = {};
    for (const { conversation, sent } of person.talks.filter((talk) => talk.sent.length > 0)) {
      expected[conversation.characterId] = (expected[conversation.characterId] ?? 0) + sent.length;
    }
    for (const server of servers) {
      const { body } = await byToken(server, person, '/api/auth/usage');
      const told = Object.fromEntries(Object.entries(body.characters).map(([id, { text }]) => [id, text.used]));
      assert.deepEqual(told, expected, `usage at ${server.name}`);
    }
  }
}

export async function sessionsAreKept({ people, fleet: { servers } }) {
  for (const person of people) {
    for (const server of servers) {
      const { status, body } = await byToken(server, person, '/api/auth/me');
      assert.deepEqual([status, body.user?.id], [200, person.id], `a session at ${server.name}`);
    }
    if (person.line) await eventually('the socket to be connected', () => person.line.io.connected, 5_000);
  }
}

/** Each socket heard each message of its conversations once, from joining or as an event. */
export async function everythingIsHeardOnce({ people }, found) {
  for (const { restOnly, talks, index } of people) {
    if (restOnly) continue;
    for (const talk of talks) {
      const all = found.get(talk).map(({ seq }) => seq);
      const lacks = () => `events of person ${index}: ${all.filter((seq) => !talk.heard.includes(seq)).length} of ${all.length}`;
      await eventually(lacks, () => all.every((seq) => talk.heard.includes(seq)), 5_000);
      assert.deepEqual(talk.heard.toSorted((a, b) => a - b), all, `person ${index} hears each message once`);
    }
  }
}

export function nothingWasRefused({ refusals }) {
  assert.deepEqual(refusals, []);
}

/**
 * Requests take at most 100 ms more from the fault until the breaker opens, and 5 ms more after: more than before, and
 * more than those take longer that need nothing but the server. `opened`: from when on the breaker is known to be open.
 * Answers what was added for the slowest until then, and for the median and the slowest twentieth after.
 */
export function losingRedisAddsLittle(probes, { began, fault, opened, healed, servers }) {
  const [before, until, after] = [[began, fault], [fault, opened], [opened, healed]].map(([from, to]) => probes.between(from, to, servers));
  for (const sample of [...before, ...until, ...after]) assert.equal(sample.status, 200, 'no request fails for want of Redis');
  const yardstick = (sample) => sample.yardstick;
  const longer = (samples, share, of) => percentile(samples, share, of) - percentile(before, share, of);
  const added = (samples, share) => longer(samples, share) - Math.max(0, longer(samples, share, yardstick));
  // A machine is never as busy as that: then the server itself stood still.
  assert.ok(longer(after, 0.95, yardstick) <= 1_000, `requests that need no Redis took ${longer(after, 0.95, yardstick)} ms more`);
  const found = { until: added(until, 1), median: added(after, 0.5), slowest: added(after, 0.95) };
  assert.ok(added(until, 0.99) <= 100 * slack, `until the breaker opened requests took ${JSON.stringify(found)} ms more`);
  if (after.length >= 20) {
    assert.ok(found.median <= 5 * slack, `with the breaker open requests took ${JSON.stringify(found)} ms more`);
    assert.ok(found.slowest <= 20 * slack, `with the breaker open some took longer: ${JSON.stringify(found)}`);
  }
  return found;
}

/** Two sockets of one person, at two servers, in a conversation of their own: for asking whether all is well again. */
export class Watch {
  static async begin(traffic) {
    const watch = new Watch();
    watch.traffic = traffic;
    watch.talk = traffic.watched;
    const { person } = watch.talk;
    watch.sockets = await Promise.all(traffic.fleet.servers.map(async ({ url }) => {
      const socket = new Socket(url, { auth: { token: person.token }, reconnection: true, reconnectionDelay: 100, reconnectionDelayMax: 500 });
      person.sockets.push(socket);
      const join = () => socket.join(watch.talk.conversation).catch(() => {});
      socket.io.io.on('reconnect', join);
      await socket.connected;
      await join();
      return socket;
    }));
    return watch;
  }

  /** Whether what is said at one server is heard at the others: typing is stored nowhere, so it comes by the bus or not. */
  async serversMeet() {
    for (const from of this.sockets) {
      const others = this.sockets.filter((socket) => socket !== from);
      const { person, conversation } = this.talk;
      const mine = ({ userId }) => userId === person.id;
      const before = others.map((socket) => socket.of('typing').filter(mine).length);
      from.io.emit('typing', { conversationId: conversation.id, typing: true });
      const heard = () => others.every((socket, i) => socket.of('typing').filter(mine).length > before[i]);
      await eventually('one server to hear the other', heard, 250);
    }
  }

  async healthIsOk() {
    for (const server of this.traffic.fleet.servers) {
      const { status, checks } = await server.health();
      assert.equal(status, 'ok', JSON.stringify(checks));
    }
  }

  /** Sends a message, and waits until the model has answered it. */
  async answered(ms) {
    const { fleet } = this.traffic;
    const message = await this.traffic.send(this.talk);
    await eventually('the reply', () => fleet.model.callsFor(`#${message.marker}`).some(({ endedAt }) => endedAt), ms);
    return message;
  }

  /** Whether a new message's job goes through Redis. */
  async jobsAreInRedis() {
    const { id } = await this.answered(5_000);
    assert.ok(await this.traffic.fleet.knowsJob(`${id}-1`), 'a reply went past Redis');
  }
}

/** Whatever is broken, a message is answered, from every server: due work is looked for once a second. Answers the longest it took, in ms. */
export async function answersGoOn(watch, promisedMs = 2_000) {
  let longest = 0;
  // Calls go to the servers by turns.
  for (let asked = 0; asked < watch.traffic.fleet.servers.length; asked += 1) {
    const began = performance.now();
    await watch.answered(promisedMs * slack);
    longest = Math.max(longest, performance.now() - began);
  }
  return longest;
}

/** All is back within 5 s of `healed`: servers meet, jobs go through Redis, health is ok. Answers how long it took, in ms. */
export async function allIsBack(watch, healed, promisedMs = 5_000) {
  let reason;
  const whole = async () => {
    await watch.healthIsOk();
    await watch.serversMeet();
    await watch.jobsAreInRedis();
  };
  for (;;) {
    try {
      await whole();
      break;
    } catch (error) {
      reason = error.message;
    }
    assert.ok(performance.now() - healed < promisedMs * slack, `all was not back: ${reason}`);
    await sleep(50);
  }
  const took = performance.now() - healed;
  assert.ok(took < promisedMs * 2, `all was back after ${Math.round(took)} ms; before that: ${reason}`);
  return took;
}
