// What one server is told, all of them heed within a second, with Redis and without: revoked sessions, on open sockets
// too, and a new tier.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Socket, eventually, request } from '../contract/client.mjs';
import { Fleet } from './fleet.mjs';

const password = 'correct horse';
/** Within which a change is heeded everywhere, in ms. */
const promised = 1_000;

let fleet;
let [one, two] = [];
before(async () => {
  fleet = await Fleet.start({ workers: 0, redis: { persistent: true }, env: { AIM_LIMITS__MULTIPLIER: '10' } });
  [one, two] = fleet.servers;
});
after(async () => {
  fleet?.assertNobodyFell();
  await fleet?.close();
});

async function register() {
  const username = `r_${Math.random().toString(36).slice(2, 12)}`;
  const { status, body } = await request(one, 'POST', '/api/auth/register', { email: `${username}@example.org`, username, password });
  assert.equal(status, 201, JSON.stringify(body));
  return { ...body, username };
}

async function signIn({ username }, server) {
  const { status, body } = await request(server, 'POST', '/api/auth/login', { login: username, password });
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

const as = ({ token }) => ({ authorization: `Bearer ${token}` });
const me = (server, person) => request(server, 'GET', '/api/auth/me', undefined, as(person));

async function open(t, server, { token }) {
  const socket = new Socket(server.url, { auth: { token } });
  t.after(() => socket.close());
  await socket.connected;
  return socket;
}

/** Signs a device out at one server that is used at the other, and waits until it is out there. */
async function revoke(t) {
  const home = await register();
  const away = await signIn(home, two);
  const sockets = [await open(t, one, away), await open(t, two, away)];
  const kept = await open(t, two, home);
  assert.equal((await me(two, away)).status, 200);
  const { body } = await request(two, 'GET', '/api/auth/sessions', undefined, as(away));
  const { id } = body.items.find(({ current }) => current);

  const at = Date.now();
  assert.equal((await request(one, 'DELETE', `/api/auth/sessions/${id}`, undefined, as(home))).status, 204);
  await eventually('the end of the session at the other server', async () => (await me(two, away)).status === 401, promised);
  for (const socket of sockets) {
    const { at: closed } = await Promise.race([socket.disconnected, eventually('the end of a socket', () => false, 3 * promised)]);
    assert.ok(closed - at <= promised, `closed after ${closed - at} ms`);
  }
  assert.ok(kept.io.connected, 'another session of the same person stays');
  assert.equal((await me(two, home)).status, 200);
  return away;
}

async function upgrade() {
  const person = await register();
  for (const server of [one, two]) assert.equal((await me(server, person)).body.user.tier, 'free');
  await fleet.command(['user', 'set', person.username, '--tier', 'premium']);
  for (const server of [one, two]) {
    await eventually(`the tier at ${server.name}`, async () => {
      const { body, headers } = await me(server, person);
      return body.user.tier === 'premium' && headers.get('ratelimit-policy') === '"api";q=5000;w=900';
    }, promised);
  }
}

const health = (wanted) => eventually(`health ${wanted}`, async () => (
  (await Promise.all([one, two].map((server) => server.health()))).every(({ status }) => status === wanted)
));

test('a revoked session ends at the other server within a second, its open sockets too', (t) => revoke(t));

test('a new tier counts at both servers within a second', () => upgrade());

test('both hold while Redis is away, and a Redis that comes back with what it knew undoes nothing', async (t) => {
  const before = await revoke(t);
  // It is known to Redis, and revoked while Redis does not hear of it.
  const known = await register();
  const away = await signIn(known, two);
  for (const server of [one, two]) assert.equal((await me(server, away)).status, 200);
  await fleet.redis.kill();
  await health('degraded');
  const during = await revoke(t);
  assert.equal((await request(one, 'POST', '/api/auth/logout', undefined, as(away))).status, 204);
  await upgrade();
  await fleet.redis.restart();
  await health('ok');
  const until = Date.now() + 2_000;
  while (Date.now() < until) {
    for (const server of [one, two]) {
      for (const revoked of [before, during, away]) assert.equal((await me(server, revoked)).status, 401);
    }
    await sleep(50);
  }
});
