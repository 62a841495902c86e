// One cache of three real servers: however many ask for a value that nobody has, the database is asked once, also when
// who asked it is killed meanwhile; and nobody is told what was there before for longer than a second, also when the
// writer is killed between its commit and what it would have told Redis.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Person, eventually, request } from '../contract/client.mjs';
import { Fleet } from './fleet.mjs';

/** A thousand in a soak: on two busy cores so many keep Redis's answers from being heard in time. */
const readers = process.env.AIM_TEST_STRICT === '1' ? 1_000 : 300;
/** Where each round kills a server. */
const fewer = 300;
/** A round in which a server did not hear Redis in time says nothing; this many are tried. */
const rounds = 3;
/** They come by so many at a time: all at once they would keep a small machine so busy that nobody hears Redis in time. */
const atOnce = 20;
/** The database takes at least so long to answer, in ms. */
const slow = 200;
/** Within which a change is seen everywhere, in ms. */
const promised = 1_000;
const patience = 20_000;

let fleet;
let ada;
before(async () => {
  // What these tests keep waiting is to wait for as long as they need.
  const alike = { AIM_WORKERS__ENABLED: 'false', AIM_DATABASE__STATEMENT_TIMEOUT: '60s' };
  fleet = await Fleet.start({ servers: 3, workers: 0, redis: { persistent: true }, server: alike });
  const [server] = fleet.servers;
  const form = { email: 'ada@example.org', username: 'ada_l', password: 'correct horse' };
  const { body } = await request(server, 'POST', '/api/auth/register', form);
  ada = new Person({ url: server.url }, body.user, body.token);
  // Each knows who asks.
  for (const one of fleet.servers) assert.equal((await as(one, 'GET', '/api/auth/me')).status, 200);
});
after(async () => {
  fleet?.assertNobodyFell();
  await fleet?.close();
});

const as = (server, method, where, body) => request(server, method, where, body, { authorization: `Bearer ${ada.token}` });
const read = (server, character) => as(server, 'GET', `/api/characters/${character.id}`);

/** A character of which all have heard that it is new: whoever hears of it later drops what is read meanwhile. */
async function character(name) {
  const made = await ada.character({ name });
  const told = async () => Number(await fleet.redis.command('HGET', 'aim:cache:told:5', 'cursor')) === Number(await fleet.query('SELECT last FROM feed'));
  await eventually('Redis to be told of the new character', told, patience);
  // Each server reads of changes twice a second.
  await sleep(600);
  return made;
}

/** Reads of the database for characters, over these servers, as they count them. */
async function loads(servers) {
  const counts = await Promise.all(servers.map((server) => server.metric('aim_cache_requests_total', 'family="character",result="miss"')));
  return counts.reduce((sum, count) => sum + count, 0);
}

/**
 * How often these servers did not hear Redis within what a request may wait for it. On a machine that is too busy for that a
 * server asks the database by itself, once for all its readers. What the breaker refused says nothing by itself: it opens for
 * one of these.
 */
async function unheard(servers) {
  const outcomes = ['timeout', 'lost'];
  const counts = await Promise.all(servers.flatMap((server) => outcomes.map((outcome) => (
    server.metric('aim_redis_calls_total', `capability="cache",outcome="${outcome}"`)
  ))));
  return counts.reduce((sum, count) => sum + count, 0);
}

/**
 * Runs rounds until one keeps what is promised, but no other after one in which Redis was heard in time. A round answers
 * `{kept, busy, figures}`.
 */
async function once(t, round) {
  for (let n = 1; ; n += 1) {
    const { kept, busy, figures } = await round(n);
    const said = `${figures}; Redis was not heard in time ${busy} times`;
    t.diagnostic(said);
    if (kept) return;
    assert.ok(busy > 0 && n < rounds, said);
  }
}

/** Keeps the database from answering who asks for characters, until `release()`; `waiting()` says how many wait for it. */
async function heldBack() {
  // A transaction that ends when it is told to.
  const holding = fleet.query('BEGIN; LOCK TABLE characters IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(60)').catch(() => {});
  const held = `pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
    JOIN pg_class c ON c.oid = l.relation AND c.relname = 'characters'`;
  const asking = "pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.query LIKE '%FROM characters ch WHERE ch.id%'";
  const waiting = async () => Number(await fleet.query(`SELECT count(DISTINCT pid) FROM ${held} JOIN ${asking}`));
  const holder = () => fleet.query(`SELECT l.pid FROM ${held} WHERE l.granted AND l.mode = 'AccessExclusiveLock'`);
  const pid = await eventually('the lock', holder, patience);
  let isHeld = true;
  const release = async () => {
    if (!isHeld) return;
    isHeld = false;
    await fleet.query(`SELECT pg_terminate_backend(${pid})`);
    await holding;
  };
  return { waiting, release };
}

/** `many` reads at these servers, as fast as they take it; answers as soon as all have asked, with `all` their answers. */
async function everybodyReads(servers, character, many) {
  const answers = [];
  // The first at each server is the one who asks for all that come after.
  for (const server of servers) {
    answers.push(read(server, character));
    await sleep(100);
  }
  while (answers.length < many) {
    for (let i = 0; i < atOnce; i += 1) answers.push(read(servers[answers.length % servers.length], character));
    // Who is asked this after them has heard them.
    await Promise.all(servers.map((server) => request(server, 'GET', '/health/live')));
  }
  const all = Promise.all(answers);
  all.catch(() => {});
  return { all };
}

/** Watches until told to stop; `stop()` answers the most that waited at a time. */
function watched({ waiting }) {
  let [most, going] = [0, true];
  const done = (async () => {
    while (going) {
      most = Math.max(most, await waiting());
      await sleep(20);
    }
  })();
  done.catch(() => {});
  return { stop: async () => { going = false; await done; return most; } };
}

function assertAllRead(answers, name) {
  for (const { status, body } of answers) assert.deepEqual([status, body.character?.name], [200, name], JSON.stringify(body));
}

test(`${readers} readers at three servers of a value that nobody has: the database is asked once`, (t) => once(t, async (n) => {
  const name = `Asked for ${n}`;
  const asked = await character(name);
  const [before, deaf] = [await loads(fleet.servers), await unheard(fleet.servers)];
  const hold = await heldBack();
  t.after(() => hold.release());
  const watch = watched(hold);
  const began = performance.now();
  const answers = await everybodyReads(fleet.servers, asked, readers);
  await eventually('somebody to ask the database', async () => (await hold.waiting()) > 0, patience);
  await sleep(slow);
  const most = await watch.stop();
  await hold.release();
  const waited = Math.round(performance.now() - began);
  assertAllRead(await answers.all, name);
  const made = (await loads(fleet.servers)) - before;
  const busy = (await unheard(fleet.servers)) - deaf;
  const figures = `${readers} readers, ${made} loads, ${most} at a time; the first had waited for ${waited} ms`;
  return { kept: made === 1 && most === 1, busy, figures };
}));

test('the same, when who asked the database is killed meanwhile: it is asked once more', (t) => once(t, async (n) => {
  const name = `Asked for twice ${n}`;
  const asked = await character(name);
  const [leader, ...others] = fleet.servers;
  const [before, deaf] = [await loads(others), await unheard(others)];
  const hold = await heldBack();
  t.after(() => hold.release());
  const lost = read(leader, asked).then(() => 'answered', () => 'lost');
  await eventually('the leader to ask the database', async () => (await hold.waiting()) === 1, patience);
  const answers = await everybodyReads(others, asked, fewer);
  await sleep(slow);
  const atFirst = await hold.waiting();
  const watch = watched(hold);
  const killed = performance.now();
  await leader.kill();
  t.after(() => leader.pid ?? leader.start());
  assert.equal(await lost, 'lost');
  // What the dead one asked is still waiting in the database.
  await eventually('another to take over', async () => (await hold.waiting()) >= 2, patience);
  const took = Math.round(performance.now() - killed);
  await sleep(slow);
  const most = await watch.stop();
  await hold.release();
  assertAllRead(await answers.all, name);
  const made = (await loads(others)) - before;
  const busy = (await unheard(others)) - deaf;
  await leader.start();
  const figures = `${fewer} readers, ${atFirst} asked while the leader lived, ${made} loads by those who live, ${most} at a time with that `
    + `of the dead; another took over ${took} ms after the kill`;
  return { kept: atFirst === 1 && made === 1 && most === 2, busy, figures };
}));

/** Reads at these servers, one after the other at each, until told to stop: `{at, ms, name}` each, by the clock. */
function reading(servers, character) {
  const reads = [];
  let going = true;
  const done = Promise.all(servers.map(async (server) => {
    while (going) {
      const at = Date.now();
      const { status, body } = await read(server, character);
      assert.equal(status, 200, JSON.stringify(body));
      reads.push({ server: server.name, at, name: body.character.name });
      await sleep(10);
    }
  }));
  done.catch(() => {});
  return { reads, stop: async () => { going = false; await done; } };
}

/**
 * One server changes a character that all know, and is killed as soon as that is committed; answers the others' reads
 * until then, and when it was committed. `breaks`: keeps its word from Redis.
 */
async function changedAndKilled(t, breaks) {
  const [writer, ...others] = fleet.servers;
  const changed = await character('Before');
  for (const server of fleet.servers) assertAllRead([await read(server, changed)], 'Before');
  assert.match(await fleet.redis.command('GET', `aim:character:${changed.id}`), /"Before"/, 'Redis knows it too');
  const { reads, stop } = reading(others, changed);
  await breaks(writer);
  const answer = as(writer, 'PATCH', `/api/characters/${changed.id}`, { name: 'After' }).catch(() => {});
  const committed = () => fleet.query(`SELECT updated_at FROM characters WHERE id = '${changed.id}' AND name = 'After'`);
  const at = Number(await eventually('the commit', committed, patience));
  await writer.kill();
  t.after(() => writer.pid ?? writer.start());
  await answer;
  const last = ({ name }) => reads.findLast(({ server }) => server === name)?.name;
  await eventually('the others to read it anew', () => others.every((server) => last(server) === 'After'), patience);
  return { writer, others, changed, reads, stop, at };
}

/** Answers how long after the change the last read began that was told what was there before, in ms. */
function assertNoneIsStale(reads, at) {
  const latest = Math.max(...reads.filter(({ name }) => name === 'Before').map(({ at: asked }) => asked - at));
  assert.ok(latest <= promised, `a read that began ${latest} ms after the change was told what was there before`);
  assert.ok(reads.some(({ at: asked }) => asked - at > promised), 'there were reads later than that');
  return latest;
}

test('what a server changes that is killed between its commit and its word to Redis is seen by the others within a second', async (t) => {
  const { writer, others, changed, reads, stop, at } = await changedAndKilled(t, (one) => one.network.blackHole());
  await sleep(promised);
  await stop();
  const latest = assertNoneIsStale(reads, at);
  const kept = await fleet.redis.command('GET', `aim:character:${changed.id}`);
  assert.ok(!kept.includes('"Before"'), `Redis keeps: ${kept}`);
  t.diagnostic(`${reads.length} reads at ${others.length} servers; the last stale one began ${latest} ms after the change`);
  await writer.network.heal();
  await writer.start();
  assertAllRead([await read(writer, changed)], 'After');
});

test('the same while Redis is away, which comes back with what was there before', async (t) => {
  const { writer, others, changed, reads, stop, at } = await changedAndKilled(t, () => fleet.redis.kill());
  await sleep(promised);
  // Until it is seen what Redis brings back, nobody mends it.
  await Promise.all(others.map(({ network }) => network.cut()));
  await fleet.redis.restart();
  assert.match(await fleet.redis.command('GET', `aim:character:${changed.id}`), /"Before"/, 'Redis brings back what was there before');
  await Promise.all(others.map(({ network }) => network.heal()));
  const isWell = async (server) => (await server.health()).status === 'ok';
  await eventually('health', async () => (await Promise.all(others.map(isWell))).every(Boolean), patience);
  await writer.start();
  const late = reading([writer], changed);
  await sleep(promised);
  await Promise.all([stop(), late.stop()]);
  const latest = assertNoneIsStale(reads, at);
  assert.deepEqual(late.reads.filter(({ name }) => name === 'Before'), [], 'nor is a server that starts then');
  t.diagnostic(`${reads.length} reads at ${others.length} servers; the last stale one began ${latest} ms after the change`);
});
