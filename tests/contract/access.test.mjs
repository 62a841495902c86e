// Who may do what: every route and every socket event, asked by the owner of the thing, a guest, a stranger, somebody who is
// signed out, and an admin. What is expected stands in `access/table.mjs`, which says how to add to it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { COLUMNS, EVENTS, ROUTES, TOLD } from './access/table.mjs';
import { upload } from './access/things.mjs';
import { eventually, Socket } from './client.mjs';
import { Server } from './server.mjs';

/** Those who are refused come first, so that a thing is there for all of them. */
const ORDER = ['nobody', 'stranger', 'admin', 'guest', 'owner'];
const CODES = { 401: 'unauthenticated', 403: 'forbidden', 404: 'not_found' };

let server;
let world;
let document;

before(async () => {
  server = await Server.start();
  server.model.plan = { ...server.model.plan, chunks: 3 };
  const newAdmin = async () => {
    const admin = await server.register();
    await server.command(['user', 'set', admin.user.username, '--role', 'admin']);
    await eventually('the role', async () => (await admin.api('GET', '/api/admin/audit?limit=1')).status === 200);
    return admin;
  };
  const [owner, guest, stranger] = [await server.register(), await server.register(), await server.register()];
  world = { server, owner, guest, stranger, nobody: undefined, admin: await newAdmin(), newAdmin };
  document = (await server.api('GET', '/api/openapi.json')).body;
});
after(() => server?.stop());

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch'];
const documented = () => Object.entries(document.paths).flatMap(([path, item]) => (
  METHODS.filter((method) => method in item).map((method) => `${method.toUpperCase()} ${path}`)
));

test('every documented route has a row', () => {
  const rows = new Set(ROUTES.map(({ route }) => route));
  const missing = documented().filter((route) => !rows.has(route));
  assert.deepEqual(missing, [], 'add these routes to tests/contract/access/table.mjs');
  const known = new Set(documented());
  const gone = [...rows].filter((route) => / \/(api|media|health|metrics)/.test(route) && !known.has(route));
  assert.deepEqual(gone, [], 'these rows are of no route');
});

/** The path with what it names, and all else that goes with it. */
function filled(row, of, who) {
  const more = typeof row.ask === 'function' ? row.ask(of, who, world) : row.ask;
  const named = { ...of, ...more };
  const path = row.path.replace(/\{\*?(\w+)\}/g, (_, name) => {
    if (named[name] === undefined) throw new Error(`${row.route}: the thing has no ${name}`);
    return encodeURIComponent(named[name]);
  });
  return { ...more, path: more.query ? `${path}?${more.query}` : path };
}

async function ask(row, of, who) {
  const { path, json, form, headers = {}, body } = filled(row, of, who);
  const person = of.as ?? world[who];
  const sent = { redirect: 'manual', method: row.method, headers: { ...headers } };
  if (person) sent.headers.authorization = `Bearer ${person.token}`;
  if (json !== undefined) {
    sent.headers['content-type'] = 'application/json';
    sent.body = JSON.stringify(json);
  } else if (form !== undefined) {
    // In one piece: whoever is refused is answered before the form is read.
    const packed = new Response(form);
    sent.headers['content-type'] = packed.headers.get('content-type');
    sent.body = Buffer.from(await packed.arrayBuffer());
  } else if (body !== undefined) sent.body = body;
  const answer = await fetch(server.url + path, sent);
  return { status: answer.status, text: await answer.text() };
}

const parsed = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

for (const row of ROUTES) {
  const columns = COLUMNS.map((who) => row.expected[who]).join(' ');
  test(`${row.route}: ${columns}`, async () => {
    const got = {};
    const once = row.thing.each ? undefined : await row.thing(world, 'owner');
    for (const who of ORDER) {
      const of = once ?? await row.thing(world, who);
      const { status, text } = await ask(row, of, who);
      const code = parsed(text)?.code;
      const expected = row.expected[who];
      const isRefusal = status in CODES && (code !== undefined || row.method === 'HEAD');
      if (isRefusal && code !== undefined) assert.equal(code, CODES[status], `${who}: ${text}`);
      if (isRefusal) assert.equal(text.includes('canary'), false, `${who} reads what is refused: ${text}`);
      got[who] = expected === '*' && !isRefusal ? '*' : String(status);
    }
    assert.deepEqual(got, row.expected);
  });
}

test('with the cookie alone, no changing route takes a call from another site', async () => {
  const cookie = `aim_session=${world.owner.token}`;
  for (const route of documented()) {
    const [method, path] = route.split(' ');
    if (['GET', 'HEAD', 'OPTIONS'].includes(method)) continue;
    const where = server.url + path.replace(/\{\w+\}/g, 'x');
    for (const headers of [{ cookie, origin: 'https://evil.test' }, { cookie }]) {
      const { status } = await fetch(where, { method, headers: { ...headers, 'content-type': 'application/json' }, body: '{}' });
      assert.equal(status, 403, `${route} with ${JSON.stringify(Object.keys(headers))}`);
    }
  }
});

async function connect(who) {
  const person = world[who];
  const socket = person ? new Socket(person.server.socketUrl(), { auth: { token: person.token } }) : new Socket(server.url, {});
  try {
    await socket.connected;
    return { socket };
  } catch (error) {
    socket.close();
    return { refused: error.data?.code ?? error.message };
  }
}

async function emit(row, of, who) {
  const { socket, refused } = await connect(who);
  if (refused) return refused;
  try {
    const event = row.path;
    if (event === 'connect') return 'ok';
    const more = typeof row.ask === 'function' ? row.ask(of, who, world) : row.ask;
    if (more.joins) await socket.ask('conversation:join', { conversationId: of.id });
    const answer = await socket.ask(event, { conversationId: of.id, ...more.json });
    assert.equal(JSON.stringify(answer).includes('canary') && !answer.ok, false, `${who} reads what is refused`);
    return answer.ok ? 'ok' : answer.error.code;
  } finally {
    socket.close();
  }
}

for (const row of EVENTS) {
  test(`${row.route}: ${COLUMNS.map((who) => row.expected[who]).join(' ')}`, async () => {
    const of = await row.thing(world, 'owner');
    const got = {};
    for (const who of ORDER) got[who] = await emit(row, of, who);
    assert.deepEqual(got, row.expected);
  });
}

test('what is told in a room reaches those who are in the conversation', async () => {
  const of = await TOLD[0].thing(world, 'owner');
  const sockets = {};
  for (const who of ORDER) {
    const { socket } = await connect(who);
    sockets[who] = socket;
    await socket?.ask('conversation:join', { conversationId: of.id });
  }
  try {
    await sockets.guest.ask('typing', { conversationId: of.id, typing: true });
    await sockets.owner.until('typing', ({ userId }) => userId === world.guest.id);
    await sockets.owner.ask('typing', { conversationId: of.id, typing: true });
    const sent = await world.owner.send(of, 'A secret canary #told');
    for (const who of ['owner', 'guest']) {
      await sockets[who].reply(sent.body.message.id);
      await sockets[who].until('message:updated', ({ message }) => message.id === sent.body.message.id && message.replyState === 'done');
      await sockets[who].until('conversation:state', ({ state }) => state === 'idle');
    }
    await world.owner.must('PATCH', `/api/conversations/${of.id}`, { title: 'Another canary' });
    await world.owner.must('DELETE', `/api/conversations/${of.id}/messages/${sent.body.message.id}`);
    const { uploadId } = await upload(world);
    await world.owner.must('POST', `/api/characters/${of.characterId}/gallery`, { uploadId, caption: 'canary' });
    for (const who of ['owner', 'guest']) {
      await sockets[who].until('gallery:updated', ({ characterId }) => characterId === of.characterId);
      await sockets[who].until('conversation:updated');
      await sockets[who].until('message:removed');
    }
    const about = ({ conversationId, message, conversation }) => conversationId ?? message?.conversationId ?? conversation?.id;
    for (const row of TOLD) {
      const heard = (who) => sockets[who]?.of(row.path).some((payload) => about(payload) === of.id || payload.characterId === of.characterId);
      const got = Object.fromEntries(COLUMNS.map((who) => [who, heard(who) ? 'heard' : 'silence']));
      assert.deepEqual(got, row.expected, row.route);
    }
    for (const who of ['stranger', 'admin']) assert.deepEqual(sockets[who].seen, [], `${who} heard nothing at all`);
  } finally {
    for (const socket of Object.values(sockets)) socket?.close();
  }
});
