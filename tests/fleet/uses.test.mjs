// A Redis for each use: which keys lie where, and that the loss of one is the loss of its use alone.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually, request } from '../contract/client.mjs';
import * as promises from './faults/promises.mjs';
import { Traffic } from './faults/traffic.mjs';
import { Fleet } from './fleet.mjs';
import { familyOf } from './keys.mjs';

const uses = ['main', 'cache', 'queue', 'bus'];
/** Of a busy machine. */
const patience = 20_000;

let fleet;
let traffic;
let watch;
before(async () => {
  fleet = await Fleet.start({ network: false, redis: { persistent: true }, apart: uses.slice(1) });
  fleet.model.plan = { ...fleet.model.plan, chunks: 3, firstMs: 20, delayMs: 20 };
  traffic = await Traffic.begin(fleet, { people: 4, characters: 4, talksEach: 2 });
  watch = await promises.Watch.begin(traffic);
  await eventually('the servers to hear each other', () => watch.serversMeet().then(() => true, () => false), patience);
});
after(async () => {
  traffic?.close();
  fleet?.assertNobodyFell();
  await fleet?.close();
});

const redisOf = (use) => (use === 'main' ? fleet.redis : fleet.redisOf[use]);

/** Of the keys that lie there; see `keys.mjs`. */
async function families(redis) {
  const all = (await redis.command('KEYS', '*')).split('\n').filter(Boolean);
  return new Set(all.map(familyOf));
}

/** A little of everything that is read, by one person at one server. */
async function useEverything(server, person) {
  const as = { authorization: `Bearer ${person.token}` };
  const must = async (method, where, body) => {
    const answer = await request(server, method, where, body, as);
    assert.ok(answer.status < 300, `${method} ${where}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const { user } = await must('GET', '/api/auth/me');
  await must('GET', `/api/users/${user.id}`);
  await must('GET', `/api/users/by-username/${user.username}`);
  await must('PUT', '/api/users/me/preferences', { theme: 'dark' });
  await must('GET', '/api/users/me/preferences');
  await must('GET', `/api/characters/${person.talks[0].conversation.characterId}`);
}

test('each key lies with its use, and nowhere else', async () => {
  await traffic.burst(16);
  for (const server of fleet.servers) await useEverything(server, traffic.people[0]);
  await promises.quiet(traffic);
  // What is read right after it was written is dropped once more, when the feed tells of the change.
  const [{ token }] = traffic.people;
  await eventually('settings to be kept', async () => {
    await request(fleet.servers[0], 'GET', '/api/users/me/preferences', undefined, { authorization: `Bearer ${token}` });
    return (await families(redisOf('cache'))).has('settings, drafts, uploads');
  }, patience);
  const expected = {
    main: ['limits', 'usage', 'sessions', 'tokens'],
    cache: [
      'what the cache was told', 'profiles', 'characters', 'prompts', 'conversations', 'windows of messages', 'personalities',
      'settings, drafts, uploads',
    ],
    queue: ['jobs'],
    bus: [],
  };
  /** There at some times alone. */
  const passing = { main: ['turns'], cache: ['leases of loads'], queue: [], bus: ['replies under way'] };
  for (const use of uses) {
    const found = await families(redisOf(use));
    for (const family of expected[use]) assert.ok(found.has(family), `${use} has no ${family}: ${[...found].join(', ')}`);
    const strange = [...found].filter((family) => ![...expected[use], ...passing[use], 'health'].includes(family));
    assert.deepEqual(strange, [], `${use} holds what is another's: ${strange.join(', ')}`);
    const rooms = (await redisOf(use).command('PUBSUB', 'CHANNELS', 'aim:*')).split('\n').filter(Boolean);
    assert.equal(rooms.length > 0, use === 'bus', `${use} has the channels ${rooms.join(', ')}`);
  }
});

for (const use of uses) {
  test(`without the Redis of ${use} everything goes on, and nothing else is degraded`, async (t) => {
    const names = ['connectivity', 'memory', 'performance', 'replication'].map((name) => (use === 'main' ? name : `${use}.${name}`));
    await redisOf(use).kill();
    let told;
    await eventually(() => `each server to miss the Redis of ${use} and nothing else: ${JSON.stringify(told)}`, async () => {
      const healths = await Promise.all(fleet.servers.map((server) => server.health()));
      told = healths.map((health) => [health.status, ...promises.ill(health).toSorted()]);
      return told.every((words) => words.join() === ['degraded', ...names].join());
    }, patience);
    const longest = await promises.answersGoOn(watch);
    await traffic.burst(8);
    for (const server of fleet.servers) await useEverything(server, traffic.people[1]);
    for (const server of fleet.servers) assert.equal((await fetch(`${server.url}/health/ready`)).status, 200);

    await redisOf(use).restart();
    const back = await promises.allIsBack(watch, performance.now());
    t.diagnostic(`without ${use} an answer took ${Math.round(longest)} ms at the most; all was back after ${Math.round(back)} ms`);
    const found = await promises.quiet(traffic);
    promises.everyMessageIsStoredAndAnsweredOnce(found);
    promises.theModelIsPaidOnce(traffic);
    promises.nothingWasRefused(traffic);
    await promises.usageIsExact(traffic);
    await promises.sessionsAreKept(traffic);
    await promises.everythingIsHeardOnce(traffic, found);
  });
}
