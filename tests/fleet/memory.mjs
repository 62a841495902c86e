// What a user takes of Redis's memory, measured: `node memory.mjs`. USERS people, 10,000 unless it says otherwise, sign in
// and are active for a while, as somebody at the page is: they look at profiles and characters, keep settings, and talk.
// Prints bytes a user, and by what they are for.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import Redis from 'ioredis';
import { eventually, request } from '../contract/client.mjs';
import { Fleet } from './fleet.mjs';
import { familyOf } from './keys.mjs';

const users = Number(process.env.USERS ?? 10_000);
const messages = Number(process.env.MESSAGES ?? 2);
const characters = 100;
/** People at a time. */
const lanes = 24;

const fleet = await Fleet.start({ servers: 1, workers: 0, network: false });
const [server] = fleet.servers;
const redis = new Redis(fleet.redis.url);
try {
  await measure();
} finally {
  redis.disconnect();
  await fleet.close();
}

async function must(token, method, where, body) {
  const answer = await request(server, method, where, body, token ? { authorization: `Bearer ${token}` } : {});
  assert.ok(answer.status < 300, `${method} ${where}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** `each` for every user, some at a time. */
async function everybody(each) {
  let next = 0;
  const lane = async () => {
    while (next < users) {
      next += 1;
      await each(next, `memory-${next}`);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

/** Bytes that Redis uses, once it has nothing to do. */
async function used() {
  await sleep(1_000);
  return Number(/used_memory:(\d+)/.exec(await redis.info('memory'))[1]);
}

/** Keys and bytes of each family, as `MEMORY USAGE` counts them, the whole of each. */
async function byFamily() {
  const found = new Map();
  let cursor = '0';
  do {
    const [next, keys] = await redis.scan(cursor, 'COUNT', 1_000);
    cursor = next;
    const asked = redis.pipeline();
    for (const key of keys) asked.memory('USAGE', key, 'SAMPLES', 0);
    const bytes = (await asked.exec()).map(([error, size]) => (error ? 0 : Number(size)));
    for (const [i, key] of keys.entries()) {
      const family = found.get(familyOf(key)) ?? { keys: 0, bytes: 0 };
      found.set(familyOf(key), { keys: family.keys + 1, bytes: family.bytes + bytes[i] });
    }
  } while (cursor !== '0');
  return found;
}

async function measure() {
  fleet.model.plan = { ...fleet.model.plan, chunks: 24 };
  const { token } = await must(undefined, 'POST', '/api/auth/register', { email: 'first@example.org', username: 'first', password: 'correct horse' });
  const sheet = { description: 'She keeps the lighthouse and all its stories. '.repeat(20), greeting: 'Come in.', visibility: 'public' };
  const cast = [];
  for (let i = 0; i < characters; i += 1) cast.push((await must(token, 'POST', '/api/characters', { name: `Mara ${i}`, ...sheet })).character);

  // Hashing ten thousand passwords would take an hour, and leaves nothing in Redis.
  await fleet.query(`INSERT INTO users (id, email, email_key, username, display_name, tier, role, created_at, version)
    SELECT 'member' || n, n || '@example.org', n || '@example.org', 'member_' || n, 'Member ' || n, u.tier, u.role, u.created_at, 1
    FROM users u, generate_series(1, ${users}) n WHERE u.username = 'first'`);
  await fleet.query(`INSERT INTO sessions (token_hash, id, user_id, device, created_at, last_used_at, expires_at)
    SELECT encode(sha256(convert_to('memory-' || n, 'UTF8')), 'hex'), 'session' || n, 'member' || n, 'a test', s.created_at, s.last_used_at, s.expires_at
    FROM sessions s, generate_series(1, ${users}) n`);

  const empty = await used();
  await everybody((n, mine) => must(mine, 'GET', '/api/auth/me'));
  const signedIn = await used();
  console.log(`signed in, and asked once: ${Math.round((signedIn - empty) / users)} bytes a user`);

  const began = performance.now();
  await everybody(async (n, mine) => {
    const { id: characterId } = cast[n % characters];
    await must(mine, 'GET', `/api/users/member${(n % users) + 1}`);
    await must(mine, 'GET', `/api/users/by-username/member_${n}`);
    await must(mine, 'PUT', '/api/users/me/preferences', { theme: 'dark', favourites: [characterId] });
    await must(mine, 'GET', '/api/users/me/preferences');
    await must(mine, 'GET', `/api/characters/${characterId}`);
    const { conversation } = await must(mine, 'POST', '/api/conversations', { characterId });
    for (let i = 0; i < messages; i += 1) {
      const say = { type: 'text', text: `What do you see from up there tonight, and who is with you? #${n}-${i}`, clientId: `${n}-${i}` };
      await must(mine, 'POST', `/api/conversations/${conversation.id}/messages`, say);
    }
    await must(mine, 'GET', '/api/auth/usage');
  });
  const left = async () => Number(await fleet.query("SELECT count(*) FROM messages WHERE reply_state = 'due'"));
  await eventually('all replies', async () => {
    await sleep(500);
    return (await left()) === 0;
  }, 600_000);
  const active = await used();
  console.log(`active, with ${messages} messages and their replies: ${Math.round((active - empty) / users)} bytes a user, after ${Math.round((performance.now() - began) / 1_000)} s`);

  const families = [...await byFamily()].toSorted(([, a], [, b]) => b.bytes - a.bytes);
  console.log('by MEMORY USAGE: keys, bytes a key, bytes a user');
  for (const [family, { keys, bytes }] of families) {
    console.log(`${family.padEnd(28)} ${String(keys).padStart(8)} ${(bytes / keys).toFixed(0).padStart(8)} ${(bytes / users).toFixed(0).padStart(8)}`);
  }
  fleet.assertNobodyFell();
}
