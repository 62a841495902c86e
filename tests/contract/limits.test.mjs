// The rate limits as they are set by default: exactly the limit is admitted, headers and codes say so.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from './client.mjs';
import { Server, password } from './server.mjs';

let server;
let address = 0;
/** An address that nobody used yet, as a trusted proxy would name it. */
const from = (ip = `198.51.100.${(address += 1)}`) => ({ 'x-forwarded-for': ip });

before(async () => {
  server = await Server.start({ env: { AIM_LIMITS__MULTIPLIER: '1', AIM_HTTP__TRUSTED_PROXIES: '127.0.0.1/32' } });
  server.model.plan = { ...server.model.plan, chunks: 2 };
});
after(() => server?.stop());

function assertLimited(answer, rule, quota, window) {
  assert.deepEqual([answer.status, answer.body.code], [429, 'rate_limited'], JSON.stringify(answer.body));
  assert.match(answer.headers.get('content-type'), /^application\/problem\+json/);
  assert.equal(answer.headers.get('ratelimit-policy'), `"${rule}";q=${quota};w=${window}`);
  assert.match(answer.headers.get('ratelimit'), new RegExp(`^"${rule}";r=0;t=\\d+$`));
  const wait = Number(answer.headers.get('retry-after'));
  assert.ok(Number.isInteger(wait) && wait >= 1 && wait <= window, `Retry-After: ${wait}`);
  return wait;
}

const login = (name, word, headers) => server.api('POST', '/api/auth/login', { login: name, password: word }, headers);

test('each answer names the rule with the least left', async () => {
  const ada = await server.register(from());
  const conversation = await ada.conversation();
  const read = await ada.api('GET', '/api/auth/me');
  assert.equal(read.headers.get('ratelimit-policy'), '"api";q=100;w=900');
  assert.match(read.headers.get('ratelimit'), /^"api";r=\d+;t=\d+$/);
  const sent = await ada.send(conversation, 'Count #least');
  assert.equal(sent.headers.get('ratelimit-policy'), '"messaging";q=10;w=60');
  assert.match(sent.headers.get('ratelimit'), /^"messaging";r=9;t=\d+$/);
});

test('ten messages a minute are admitted, on REST and socket together, and not one more', async () => {
  const ada = await server.register(from());
  const conversation = await ada.conversation();
  const socket = await ada.socket();
  const answers = await Promise.all(Array.from({ length: 24 }, async (_, i) => {
    if (i % 2 === 0) return ada.send(conversation, `Fast #ten-${i}`);
    const { ok, error } = await socket.send(conversation, `Fast #ten-${i}`);
    if (!ok) assert.ok(error.retryAfter >= 1 && error.retryAfter <= 60, JSON.stringify(error));
    return { status: ok ? 202 : error.code };
  }));
  assert.equal(answers.filter(({ status }) => status === 202).length, 10);
  for (const answer of answers.filter(({ status }) => status === 429)) assertLimited(answer, 'messaging', 10, 60);
  assert.equal(answers.filter(({ status }) => status === 429 || status === 'rate_limited').length, 14);
});

test('a repeated clientId is not counted', async () => {
  const ada = await server.register(from());
  const conversation = await ada.conversation();
  for (let i = 0; i < 20; i += 1) assert.equal((await ada.send(conversation, 'Once #repeat', 'same')).status, 202);
  const next = await ada.send(conversation, 'Another #repeat');
  assert.match(next.headers.get('ratelimit'), /^"messaging";r=8;/);
});

test('a hundred calls in a quarter of an hour are admitted, and pages and health are not counted', async () => {
  const ada = await server.register(from());
  const answers = await Promise.all(Array.from({ length: 130 }, () => ada.api('GET', '/api/auth/me')));
  assert.equal(answers.filter(({ status }) => status === 200).length, 100);
  for (const answer of answers.filter(({ status }) => status !== 200)) assertLimited(answer, 'api', 100, 900);
  for (const where of ['/health', '/health/live', '/']) {
    const { status, headers } = await ada.api('GET', where);
    assert.deepEqual([status, headers.get('ratelimit')], [200, null], where);
  }
});

test('premium users get five times each', async () => {
  const ada = await server.register(from());
  await server.command(['user', 'set', ada.user.username, '--tier', 'premium']);
  await eventually('premium', async () => (
    (await ada.api('GET', '/api/auth/me')).headers.get('ratelimit-policy') === '"api";q=500;w=900'
  ), 1_000);
  const conversation = await ada.conversation();
  const sent = await ada.send(conversation, 'More #premium');
  assert.equal(sent.headers.get('ratelimit-policy'), '"messaging";q=50;w=60');
});

test('the sixth attempt from an address is refused and blocked, with the right password too', async () => {
  const ada = await server.register(from());
  const here = from();
  for (let i = 0; i < 5; i += 1) assert.equal((await login(`nobody_${i}`, 'wrong password', here)).status, 401);
  const wait = assertLimited(await login('nobody_6', 'wrong password', here), 'auth', 5, 900);
  assert.ok(wait > 880, `blocked for ${wait} s`);
  assertLimited(await login(ada.user.username, password, here), 'auth', 5, 900);
  assert.equal((await login(ada.user.username, password, from())).status, 200, 'another address is free');
});

test('the sixth attempt at a login name is refused from every address', async () => {
  const ada = await server.register(from());
  for (let i = 0; i < 5; i += 1) assert.equal((await login(ada.user.username.toUpperCase(), 'wrong password', from())).status, 401);
  assertLimited(await login(ada.user.username, password, from()), 'auth', 5, 900);
});

test('a success clears the login name', async () => {
  const ada = await server.register(from());
  for (let round = 0; round < 3; round += 1) {
    for (let i = 0; i < 4; i += 1) assert.equal((await login(ada.user.username, 'wrong password', from())).status, 401);
    assert.equal((await login(ada.user.username, password, from())).status, 200);
  }
});

test('registering counts for the address, and IPv6 by /64', async () => {
  for (let i = 1; i <= 5; i += 1) await server.register(from(`2001:db8:0:7::${i}`));
  const body = { email: 'six@example.org', username: 'number_six', password };
  assertLimited(await server.api('POST', '/api/auth/register', body, from('2001:db8:0:7:ffff::6')), 'auth', 5, 900);
  assert.equal((await server.api('POST', '/api/auth/register', body, from('2001:db8:0:8::6'))).status, 201);
});

test('an address that no trusted proxy named is not believed', async (t) => {
  const plain = await Server.start({ env: { AIM_LIMITS__MULTIPLIER: '1' } });
  t.after(() => plain.stop());
  for (let i = 0; i < 5; i += 1) {
    const answer = await plain.api('POST', '/api/auth/login', { login: `nobody_${i}`, password: 'wrong password' }, from());
    assert.equal(answer.status, 401);
  }
  const answer = await plain.api('POST', '/api/auth/login', { login: 'nobody_6', password: 'wrong password' }, from());
  assertLimited(answer, 'auth', 5, 900);
});
