// Being signed in: by token and by cookie, from the right places only, and until the session is revoked.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Socket, eventually } from './client.mjs';
import { Server, password, atOnce } from './server.mjs';

const friend = 'https://friend.example.org';
const stranger = 'https://stranger.example.org';
let server;
before(async () => {
  server = await Server.start({ env: { AIM_HTTP__ALLOWED_ORIGINS: friend } });
  server.model.plan = { ...server.model.plan, chunks: 2 };
});
after(() => server?.stop());

const signIn = async (person) => server.person((await server.api('POST', '/api/auth/login', { login: person.user.username, password })).body);

/** The `aim_session` cookie that an answer sets, as `{pair, flags}`. */
function cookieOf(answer) {
  const set = answer.headers.getSetCookie().find((cookie) => cookie.startsWith('aim_session='));
  assert.ok(set, 'a cookie is set');
  const [pair, ...flags] = set.split(/;\s*/);
  return { pair, flags: flags.map((flag) => flag.toLowerCase()) };
}

async function refusal(options) {
  const socket = new Socket(server.url, options);
  const error = await socket.connected.then(() => undefined, (reason) => reason);
  socket.close();
  return error;
}

test('a handshake without a valid session is refused with a code, on every transport', async () => {
  for (const transports of [['websocket'], ['polling'], ['polling', 'websocket']]) {
    for (const auth of [undefined, {}, { token: '' }, { token: 'wrong' }, { token: 7 }]) {
      const error = await refusal({ auth, transports });
      assert.equal(error?.data?.code, 'unauthenticated', `${transports} ${JSON.stringify(auth)}: ${error?.message}`);
    }
  }
});

test('register and login answer the same shape, by username or address, without case', async () => {
  const ada = await server.register();
  assert.deepEqual([ada.user.tier, ada.user.role], ['free', 'user']);
  for (const name of [ada.user.username, ada.user.username.toUpperCase(), ada.user.email, ada.user.email.toUpperCase()]) {
    const { status, body } = await server.api('POST', '/api/auth/login', { login: name, password });
    assert.equal(status, 200, name);
    assert.equal(body.user.id, ada.id);
    const days = (new Date(body.expiresAt) - Date.now()) / 86_400_000;
    assert.ok(days > 29.9 && days <= 30, `expires in ${days} days`);
    assert.equal(JSON.stringify(body.user).includes('assword'), false);
  }
});

test('signing a device out ends its calls at once and closes its open sockets within a second, and no others', async () => {
  const ada = await server.register();
  const other = await signIn(ada);
  const conversation = await ada.conversation();
  const [kept, ws, polling] = [await ada.socket({ join: [conversation] }), await other.socket(), await other.socket({ transports: ['polling'] })];
  const { items } = await other.must('GET', '/api/auth/sessions');
  assert.equal(items.length, 2);
  const { id } = items.find(({ current }) => current);
  const at = Date.now();
  assert.equal((await ada.api('DELETE', `/api/auth/sessions/${id}`)).status, 204);
  const refused = async () => (await other.api('GET', '/api/auth/me')).status === 401;
  if (atOnce) await eventually('the end of its calls at another server', refused, atOnce);
  else assert.ok(await refused());
  for (const socket of [ws, polling]) {
    const { at: closed } = await Promise.race([socket.disconnected, eventually('the end of the socket', () => false, 3_000)]);
    assert.ok(closed - at < 1_000, `closed after ${closed - at} ms`);
  }
  const { message } = await kept.send(conversation, 'Still here #kept');
  await kept.reply(message.id);
  assert.equal((await refusal({ auth: { token: other.token } })).data.code, 'unauthenticated');
});

test('logging out ends this session, its socket and its cookie', async () => {
  const ada = await server.register();
  const socket = await ada.socket();
  const answer = await ada.api('POST', '/api/auth/logout');
  assert.equal(answer.status, 204);
  const { flags } = cookieOf(answer);
  assert.ok(flags.includes('max-age=0') || flags.some((flag) => flag.startsWith('expires=thu, 01 jan 1970')), flags.join());
  await Promise.race([socket.disconnected, eventually('the end of the socket', () => false, 1_000)]);
  assert.equal((await ada.api('GET', '/api/auth/me')).status, 401);
});

test('another person’s session cannot be signed out', async () => {
  const [ada, eve] = [await server.register(), await server.register()];
  const { items } = await ada.must('GET', '/api/auth/sessions');
  const answer = await eve.api('DELETE', `/api/auth/sessions/${items[0].id}`);
  assert.deepEqual([answer.status, answer.body.code], [404, 'not_found']);
  assert.equal((await ada.api('GET', '/api/auth/me')).status, 200);
});

test('the cookie signs in, and changes nothing for pages of strangers', async () => {
  const ada = await server.register();
  const answer = await server.api('POST', '/api/auth/login', { login: ada.user.username, password });
  const { pair, flags } = cookieOf(answer);
  for (const flag of ['httponly', 'samesite=lax', 'path=/']) assert.ok(flags.includes(flag), flags.join());

  const read = await server.api('GET', '/api/auth/me', undefined, { cookie: pair });
  assert.equal(read.body.user.id, ada.id);
  const create = (origin) => server.api('POST', '/api/characters', { name: 'By cookie' }, { cookie: pair, ...(origin && { origin }) });
  for (const origin of [server.url, friend]) assert.equal((await create(origin)).status, 201, origin);
  for (const origin of [stranger, 'null', `${server.url}.example.org`]) {
    const refused = await create(origin);
    assert.deepEqual([refused.status, refused.body.code], [403, 'forbidden'], origin);
  }
  const bearer = await ada.api('POST', '/api/characters', { name: 'By token' }, { origin: stranger });
  assert.equal(bearer.status, 201, 'a token is no cookie: no page holds it that was not given it');
});

test('a socket’s handshake with the cookie asks for the same origin', async () => {
  const ada = await server.register();
  const { pair } = cookieOf(await server.api('POST', '/api/auth/login', { login: ada.user.username, password }));
  for (const transports of [['websocket'], ['polling']]) {
    for (const origin of [server.url, friend]) {
      assert.equal(await refusal({ transports, extraHeaders: { cookie: pair, origin } }), undefined, `${transports} ${origin}`);
    }
    const error = await refusal({ transports, extraHeaders: { cookie: pair, origin: stranger } });
    assert.equal(error?.data?.code, 'forbidden', `${transports}: ${error?.message}`);
  }
});

test('listed sites may read answers and their rate-limit headers, others may not', async () => {
  const asks = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type' };
  const allowed = await server.api('OPTIONS', '/api/conversations', undefined, { origin: friend, ...asks });
  assert.ok(allowed.status === 200 || allowed.status === 204);
  assert.equal(allowed.headers.get('access-control-allow-origin'), friend);
  assert.equal(allowed.headers.get('access-control-allow-credentials'), 'true');
  assert.match(allowed.headers.get('access-control-allow-headers'), /authorization/i);
  const ada = await server.register();
  const read = await ada.api('GET', '/api/auth/me', undefined, { origin: friend });
  for (const name of ['ratelimit', 'ratelimit-policy', 'retry-after']) {
    assert.ok(read.headers.get('access-control-expose-headers').toLowerCase().split(/,\s*/).includes(name), name);
  }
  const refused = await server.api('OPTIONS', '/api/conversations', undefined, { origin: stranger, ...asks });
  assert.equal(refused.headers.get('access-control-allow-origin'), null);
});

test('a server closed to newcomers refuses to register and lets people in that its operator made', async (t) => {
  const closed = await Server.start({ env: { AIM_AUTH__REGISTRATION: 'closed' } });
  t.after(() => closed.stop());
  const answer = await closed.api('POST', '/api/auth/register', { email: 'a@example.org', username: 'newcomer', password });
  assert.deepEqual([answer.status, answer.body.code], [403, 'forbidden']);
  const signIn = (word) => closed.api('POST', '/api/auth/login', { login: 'newcomer', password: word });
  assert.equal((await signIn(password)).status, 401);
  await closed.command(['user', 'create', 'newcomer', '--email', 'a@example.org', '--password-stdin'], password);
  assert.equal((await signIn(password)).status, 200);
});

test('a new password from the operator ends every session within a second', async () => {
  const ada = await server.register();
  const socket = await ada.socket();
  await server.command(['user', 'reset-password', ada.user.username, '--password-stdin'], 'another horse');
  await eventually('the end of the session', async () => (await ada.api('GET', '/api/auth/me')).status === 401, 1_000);
  await Promise.race([socket.disconnected, eventually('the end of the socket', () => false, 1_000)]);
  const signIn = (word) => server.api('POST', '/api/auth/login', { login: ada.user.username, password: word });
  assert.deepEqual([(await signIn(password)).status, (await signIn('another horse')).status], [401, 200]);
});

test('of devices that save settings at once, each of the version it read, one is taken and the others look again', async () => {
  const ada = await server.register();
  const devices = [ada, await signIn(ada), await signIn(ada), await signIn(ada)];
  const path = '/api/users/me/preferences';
  const add = async (device, name) => {
    for (let tries = 1; ; tries += 1) {
      const read = await device.api('GET', path);
      assert.match(read.headers.get('etag'), /^(W\/)?"\d+"$/);
      const body = { ...read.body, [name]: true };
      const saved = await device.api('PUT', path, body, { 'if-match': read.headers.get('etag') });
      if (saved.status === 200) return tries;
      assert.deepEqual([saved.status, saved.body.code], [409, 'conflict']);
    }
  };
  const tries = await Promise.all(devices.map((device, n) => add(device, `of${n}`)));
  const { body, headers } = await ada.api('GET', path);
  assert.deepEqual(body, { favourites: [], of0: true, of1: true, of2: true, of3: true }, `after ${tries} tries`);
  // Who names no version replaces all, as ever, and the next one is told.
  assert.equal((await ada.api('PUT', path, { theme: 'dark' })).status, 200);
  const late = await devices[1].api('PUT', path, {}, { 'if-match': headers.get('etag') });
  assert.equal(late.status, 409);
  assert.deepEqual((await ada.api('GET', path)).body, { favourites: [], theme: 'dark' });
});
