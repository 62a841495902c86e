// Who may do what: every route and every socket event, asked by the owner of the thing, a guest, a stranger, somebody who is
// signed out, and an admin. What is expected stands in `access/table.mjs`, which says how to add to it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { COLUMNS, EVENTS, ROUTES, TOLD } from './access/table.mjs';
import { upload } from './access/things.mjs';
import { pageModule } from '../lib/page.mjs';
import { eventually, Socket } from './client.mjs';
import { Server } from './server.mjs';

const { SERVER_EVENTS } = await pageModule('live/events.ts');

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

test('what is told reaches those whom it concerns, and no one else', async () => {
  const of = await TOLD[0].thing(world, 'owner');
  // Two of each: one in the room, where that is allowed, and one elsewhere.
  const sockets = {};
  for (const who of ORDER) {
    const pair = [await connect(who), await connect(who)].map(({ socket }) => socket).filter(Boolean);
    await pair[0]?.ask('conversation:join', { conversationId: of.id });
    sockets[who] = pair;
  }
  const { owner, guest } = world;
  const where = `/api/conversations/${of.id}`;
  const room = (who) => sockets[who][0];
  const both = (event, matches) => Promise.all(['owner', 'guest'].map((who) => room(who).until(event, matches)));
  try {
    await room('guest').ask('typing', { conversationId: of.id, typing: true });
    await room('owner').until('typing', ({ userId }) => userId === guest.id);
    await room('owner').ask('typing', { conversationId: of.id, typing: true });
    const { plan } = server.model;
    server.model.plan = { ...plan, fail: 400 };
    await owner.send(of, 'A secret canary #fails');
    await both('reply:error');
    server.model.plan = plan;
    const sent = (await owner.send(of, 'A secret canary #told')).body.message;
    const [reply] = await Promise.all(['owner', 'guest'].map((who) => room(who).reply(sent.id)));
    await both('message:updated', ({ message }) => message.id === sent.id && message.replyState === 'done');
    await both('conversation:state', ({ state }) => state === 'idle');
    await owner.must('PUT', `${where}/read`, { seq: reply.seq });
    await owner.must('PATCH', where, { title: 'Another canary' });
    await owner.must('DELETE', `${where}/messages/${sent.id}`);
    await owner.must('PUT', '/api/drafts/character-canary', { name: 'canary' });
    await owner.must('PUT', '/api/users/me/preferences', { canary: of.id });
    const { uploadId } = await upload(world);
    await owner.must('POST', `/api/characters/${of.characterId}/gallery`, { uploadId, caption: 'canary' });
    await both('gallery:updated', ({ characterId }) => characterId === of.characterId);
    await both('message:removed');
    await owner.must('DELETE', `${where}/members`, { userId: guest.id });
    await room('guest').until('conversation:removed');
    await owner.must('POST', `${where}/members`, { userId: guest.id });
    await room('guest').until('conversation:added');
    await owner.must('DELETE', where);
    await both('conversation:removed', ({ conversationId }) => conversationId === of.id);
    const about = ({ conversationId, message, conversation }) => conversationId ?? message?.conversationId ?? conversation?.id;
    const isOfThis = (payload) => about(payload) === of.id || payload.characterId === of.characterId
      || payload.upload?.id === uploadId || payload.key === 'character-canary' || payload.preferences?.canary === of.id;
    for (const row of TOLD) {
      const heard = (who) => sockets[who].some((socket) => socket.of(row.path).some(isOfThis));
      const got = Object.fromEntries(COLUMNS.map((who) => [who, heard(who) ? 'heard' : 'silence']));
      assert.deepEqual(got, row.expected, row.route);
    }
    for (const who of ['stranger', 'admin']) assert.deepEqual(sockets[who].flatMap(({ seen }) => seen), [], `${who} heard nothing at all`);
    const left = SERVER_EVENTS.filter((event) => event !== 'conversation:resync' && !TOLD.some(({ path }) => path === event));
    assert.deepEqual(left, [], 'these events have no row in tests/contract/access/table.mjs');
  } finally {
    for (const socket of Object.values(sockets).flat()) socket.close();
  }
});
