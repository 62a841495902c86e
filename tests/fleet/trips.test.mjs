// Round trips are counted: what a request asks of Redis and of the database before it is answered.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Person, request } from '../contract/client.mjs';
import { Fleet } from './fleet.mjs';

const rounds = 15;
/** Of two ways, three times as many rounds each, and one each for a start. */
const freshOnes = 100;
/** Each way, in ms: small enough for a request's budget, and far more than anything else takes. */
const slow = 12;

let fleet;
let server;
let ada;
let conversation;
let socket;
/** Conversations, each with a character of its own, in which nothing was said yet. */
const fresh = [];
before(async () => {
  // Nobody answers, so that all the traffic is that of the requests.
  fleet = await Fleet.start({ servers: 1, workers: 0, server: { AIM_WORKERS__ENABLED: 'false' }, watchStore: true });
  [server] = fleet.servers;
  const body = { email: 'ada@example.org', username: 'ada_l', password: 'correct horse' };
  const registered = await request(server, 'POST', '/api/auth/register', body);
  ada = new Person({ url: server.url, socketUrl: () => server.url }, registered.body.user, registered.body.token);
  conversation = await ada.conversation();
  socket = await ada.socket({ join: [conversation] });
  for (let i = 0; i < freshOnes; i += 10) {
    fresh.push(...await Promise.all(Array.from({ length: 10 }, () => ada.conversation())));
  }
  for (const way of ['socket', 'rest']) {
    await sending.processing[way]();
    await send[way](conversation);
    await sending.queued[way]();
  }
});
after(async () => {
  ada?.close();
  fleet?.assertNobodyFell();
  await fleet?.close();
});

/** Both answer the state that the message was acknowledged with. */
const send = {
  async socket(to) {
    const answer = await socket.send(to, 'Count #trips');
    assert.equal(answer.ok, true, JSON.stringify(answer));
    return answer.state;
  },
  async rest(to) {
    const { status, body } = await ada.send(to, 'Count #trips');
    assert.equal(status, 202, JSON.stringify(body));
    return body.state;
  },
};

/** A send whose turn is free, and so is given a job, and one that waits behind another. */
const sending = Object.fromEntries([['processing', () => fresh.pop()], ['queued', () => conversation]].map(([state, where]) => [
  state,
  Object.fromEntries(Object.entries(send).map(([way, say]) => [way, async () => assert.equal(await say(where()), state)])),
]));

const profile = async () => assert.equal((await ada.api('GET', `/api/users/${ada.id}`)).status, 200);

/** What keeps a connection, and no request: heartbeats. */
const idle = /^\*1\r\n\$4\r\nPING\r\n$/i;

/**
 * What is exchanged over `network` while `ask` runs: the fewest of many rounds, since what goes on after an answer, and
 * what the server does of its own, may come in between.
 */
async function fewest(network, ask) {
  let least;
  for (let i = 0; i < rounds; i += 1) {
    await sleep(30);
    const recording = network.record();
    await ask();
    recording.stop();
    const exchanges = recording.exchanges.filter(({ text }) => !idle.test(text));
    if (!least || exchanges.length < least.length) least = exchanges;
  }
  return least;
}

const shown = (exchanges) => exchanges.map(({ connection, text }) => `${connection}: ${text.slice(0, 400)}`).join('\n');

/** The shortest that an answer takes while the network is slow, in ms. */
async function shortest(network, ask) {
  network.delay(slow);
  try {
    let least = Infinity;
    for (let i = 0; i < rounds; i += 1) {
      const began = performance.now();
      await ask();
      least = Math.min(least, performance.now() - began);
      await sleep(50);
    }
    return least;
  } finally {
    await network.heal();
  }
}

for (const [state, ways] of Object.entries(sending)) {
  for (const [way, ask] of Object.entries(ways)) {
    test(`a send over ${way} that is ${state} takes at most two round trips to Redis before it is acknowledged`, async () => {
      const exchanges = await fewest(server.network, ask);
      assert.ok(exchanges.length >= 1, 'Redis is asked');
      assert.ok(exchanges.length <= 2, shown(exchanges));
      // One after the other: a trip takes as long as that of a cached profile, which a busy machine makes longer as well.
      await profile();
      const [trip, all] = [await shortest(server.network, profile), await shortest(server.network, ask)];
      assert.ok(Math.round(all / trip) <= 2, `${all} ms, and one trip ${trip}`);
    });

    test(`a send over ${way} that is ${state} takes one commit of the store`, async () => {
      const next = async () => Number(await fleet.query('SELECT pg_snapshot_xmax(pg_current_snapshot())'));
      const [began, first] = [Date.now(), await next()];
      for (let i = 0; i < rounds; i += 1) await ask();
      const written = (await next()) - first;
      // The server's lease is renewed meanwhile, three times in 10 s, with a look at those of others.
      const renewals = Math.ceil((Date.now() - began) / 3_000) + 1;
      assert.ok(written >= rounds && written <= rounds + renewals, `${written} transactions that write for ${rounds} sends`);
    });
  }
}

test('a cached profile takes the limiter’s trip and no other, and asks nothing of the database', async () => {
  await profile();
  const exchanges = await fewest(server.network, profile);
  assert.equal(exchanges.length, 1, shown(exchanges));
  assert.match(exchanges[0].text, /ratelimit:/);
  assert.equal(Math.floor(await shortest(server.network, profile) / (2 * slow)), 1);
  assert.deepEqual(await fewest(server.proxies.postgres, profile), []);
});

test('a cached gallery takes the limiter’s trip and no other, and asks nothing of the database', async () => {
  const gallery = async () => {
    const { status, body } = await ada.api('GET', `/api/characters/${conversation.characterId}/gallery`);
    assert.deepEqual([status, body], [200, { items: [] }], 'an empty one is kept too');
  };
  await gallery();
  const exchanges = await fewest(server.network, gallery);
  assert.equal(exchanges.length, 1, shown(exchanges));
  assert.match(exchanges[0].text, /ratelimit:/);
  assert.deepEqual(await fewest(server.proxies.postgres, gallery), []);
});
