// What is promised whatever breaks: one function a promise.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Socket, eventually, request } from '../../contract/client.mjs';
import { percentile } from './probes.mjs';

/**
 * Machines that run tests are busy: times are held against so many times what is promised. AIM_TEST_STRICT=1, on a machine
 * that does nothing else: against what is promised itself.
 */
const slack = process.env.AIM_TEST_STRICT === '1' ? 1 : 5;
/** What is promised, in ms: what a request may take longer until the breaker opens, and from then on. */
const promised = { until: 100, after: 5 };

/** The names of the checks of a `/health` that are not well. Where the machine is busy, an answer that took long is well. */
export function ill({ checks: { redis, ...others } }) {
  const isSlow = ({ value, unit }) => slack > 1 && unit === 'ms' && value !== null;
  const checks = Object.entries({ ...redis, ...others });
  return checks.filter(([, check]) => check.status !== 'ok' && !isSlow(check)).map(([name]) => name);
}

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

/**
 * `cut`: between when replies were cut off with the process that gave them, `{from, to}` by the clock; each of those may have
 * been asked for once more.
 */
export function theModelIsPaidOnce({ sent, fleet: { model } }, cut) {
  for (const { marker } of sent) {
    const calls = model.callsFor(`#${marker}`);
    const wasCut = cut && calls.some(({ at, endedAt }) => at <= cut.to && (endedAt ?? Infinity) >= cut.from - committingMs);
    const most = wasCut ? 2 : 1;
    const since = (at) => at - (cut?.from ?? calls[0].at);
    assert.ok(calls.length >= 1 && calls.length <= most, `${marker}: ${calls.length} calls, ${most} at the most: ${JSON.stringify(
      calls.map(({ at, endedAt, cancelledAt }) => ({ at: since(at), endedAt: since(endedAt), cancelledAt: since(cancelledAt) })),
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

/** How often something was done that had been done before: `{answered, asked}`, replies stored and calls of the model. */
export function doubles({ fleet: { model } }, found) {
  const replies = [...found.values()].flat().map(({ inReplyTo }) => inReplyTo).filter(Boolean);
  return {
    answered: replies.length - new Set(replies).size,
    asked: model.calls.length - new Set(model.calls.map(({ marker }) => marker)).size,
  };
}

/**
 * What requests took longer than before, in ms, less what those took longer that need nothing but the server: of the
 * slowest hundredth and the slowest until the breaker opened, of the median and the slowest twentieth from then on.
 * `opened`: from when on it is known to be open; nothing where it comes and goes, so that all of the time is until then.
 * Where the machine is busy, the slowest are held against the slowest of before; AIM_TEST_STRICT=1: all against the median.
 */
export function whatWasAdded(probes, { began, fault, opened, healed, servers }) {
  const parts = [[began, fault], [fault, opened ?? healed], [opened ?? healed, healed]];
  const [before, until, after] = parts.map(([from, to]) => probes.between(from, to, servers));
  assert.ok(before.length > 0 && until.length > 0, `${before.length} requests before, ${until.length} until the breaker opened`);
  assert.ok(!opened || after.length >= 20, `only ${after.length} requests with the breaker open`);
  const yardstick = (sample) => sample.yardstick;
  const longer = (samples, share, of) => percentile(samples, share, of) - percentile(before, slack === 1 ? 0.5 : share, of);
  const added = (samples, share) => longer(samples, share) - Math.max(0, longer(samples, share, yardstick));
  return {
    failed: [...before, ...until, ...after].filter(({ status }) => status !== 200).map(({ status }) => status),
    stood: opened ? longer(after, 0.95, yardstick) : 0,
    until: added(until, 1),
    mostUntil: added(until, 0.99),
    median: opened ? added(after, 0.5) : undefined,
    slowest: opened ? added(after, 0.95) : undefined,
  };
}

/** No request fails, and none takes much longer: 100 ms more until the breaker opens, 5 ms from then on. */
export function losingRedisAddsLittle(added) {
  const { failed, stood, until, mostUntil, median, slowest } = added;
  assert.deepEqual(failed, [], `${failed.length} requests failed for want of Redis: ${failed.slice(0, 5).join(', ')}`);
  // A machine is never as busy as that: then the server itself stood still.
  assert.ok(stood <= 1_000, `requests that need no Redis took ${stood} ms more`);
  const figures = JSON.stringify(added);
  assert.ok((slack === 1 ? until : mostUntil) <= promised.until * slack, `until the breaker opened requests took longer: ${figures}`);
  if (median === undefined) return;
  assert.ok(median <= promised.after * slack, `with the breaker open requests took longer: ${figures}`);
  // One in twenty waits for a core now and then, where two serve all: that is the machine's, and not of Redis.
  assert.ok(slowest <= 4 * promised.after * slack, `with the breaker open some took longer: ${figures}`);
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
      const health = await server.health();
      assert.deepEqual(ill(health), [], JSON.stringify(health.checks));
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
    // Longer than it may take, so that it is known how long it took.
    assert.ok(performance.now() - healed < promisedMs * 5, `all was not back: ${reason}`);
    await sleep(50);
  }
  const took = performance.now() - healed;
  assert.ok(took < promisedMs * Math.min(slack, 2), `all was back after ${Math.round(took)} ms; before that: ${reason}`);
  return took;
}
