// What a client is told is all it needs: for every event, applying it to what the page knew before equals reading everything anew.
// The client's state is the page's own: of a conversation (`web/src/chat/state.ts`), of the list and its rooms (`web/src/app`), of
// pictures, forms and uploads.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { asPageOf, pageModule } from '../lib/page.mjs';
import { png } from '../lib/pictures.mjs';
import { eventually } from './client.mjs';
import { Server } from './server.mjs';

const { emptyChat, reduceChat, resumeSeq } = await pageModule('chat/state.ts');
const { placed, readIn, saidIn } = await pageModule('app/listing.ts');
const { clearRooms, conversations, followRooms, gone, loadConversations, loadMembers, members } = await pageModule('app/rooms.ts', 'app/library.ts');
const { DraftKeeper } = await pageModule('app/draft-keeper.ts');
const { followPreferences, loadPreferences, preferences } = await pageModule('app/preferences.ts');
const { settled } = await pageModule('chat/upload.ts');
const { galleries, loadGallery, renewGallery } = await pageModule('app/gallery.ts');
const { SERVER_EVENTS } = await pageModule('live/events.ts');

const patience = 20_000;
const plan = { chunks: 6, firstMs: 0, delayMs: 0, steps: false };
/** Events after which a state was found to equal a fresh one. */
const verified = new Set();

let server;
let folder;
let model;
let ada;
let ben;
let conversation;
let follower;

before(async () => {
  // One place for all servers, where there are several.
  folder = await mkdtemp(join(tmpdir(), 'aim-verify-'));
  server = await Server.start({ env: { AIM_MEDIA__DIR: folder } });
  model = server.model;
  model.plan = plan;
  [ada, ben] = [await server.register(), await server.register()];
  conversation = await ada.conversation(await ada.character({ greeting: 'Who goes there?' }));
  await ada.must('POST', `/api/conversations/${conversation.id}/members`, { userId: ben.id });
  // Ada's other device: what it knows, it was told.
  follower = await Follower.begin(ada);
});
after(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A client as the page is one: it reads once, joins, and applies what it hears. */
class Follower {
  joins = 0;
  /** While true, what comes is lost on the way. */
  deaf = false;

  static async begin(person) {
    const follower = new Follower();
    follower.person = person;
    follower.socket = await person.socket();
    follower.state = emptyChat(conversation.id, conversation.characterId, person.id);
    follower.socket.io.onAny((name, payload) => follower.take(name, payload));
    const page = await person.must('GET', `/api/conversations/${conversation.id}/messages?limit=100`);
    follower.apply({ type: 'history', messages: page.items, hasMore: page.hasMore });
    follower.uses(await person.must('GET', `/api/auth/usage/${conversation.characterId}`));
    await follower.join();
    return follower;
  }

  take(name, payload) {
    if (this.deaf) return;
    this.apply({ type: 'event', event: { name, payload } });
    if (this.state.needsSync && !this.state.joining) void this.join();
  }

  apply(action) {
    this.state = reduceChat(this.state, action);
  }

  /** What one counts as used is no part of a conversation: it is read by itself. */
  uses(usage) {
    this.apply({ type: 'event', event: { name: 'usage:updated', payload: { characterId: conversation.characterId, ...usage } } });
  }

  async join() {
    this.joins += 1;
    const afterSeq = resumeSeq(this.state);
    this.apply({ type: 'joining' });
    this.apply({ type: 'joined', answer: await this.socket.ask('conversation:join', { conversationId: conversation.id, afterSeq }) });
  }

  /** What a person sees of it. Why a reply failed is told once, and known to none who comes later. */
  get view() {
    const { messages, hasEarlier, replies, phase, pending, position, characterTypes, typists, usage, needsSync } = this.state;
    return { messages, hasEarlier, replies, phase, pending, position, characterTypes, typists, usage, needsSync };
  }

  end() {
    this.socket.close();
  }
}

/** Does something, and waits until what the follower was told of it equals what one sees who comes now. */
async function verify(act, ...events) {
  const from = follower.socket.seen.length;
  const { joins } = follower;
  const outcome = await act();
  const heard = () => new Set(follower.socket.seen.slice(from).map(({ event }) => event));
  await eventually(() => `${events}; came: ${[...heard()]}`, () => events.every((event) => heard().has(event)), patience);
  let told;
  let fresh;
  const equal = async () => {
    const newcomer = await Follower.begin(ada);
    [told, fresh] = [follower.view, newcomer.view];
    newcomer.end();
    try {
      assert.deepEqual(told, fresh);
      return true;
    } catch {
      return false;
    }
  };
  await eventually('the same', equal, patience).catch(() => assert.deepEqual(told, fresh));
  assert.equal(follower.joins, joins, 'what was told was enough');
  for (const event of events) verified.add(event);
  return outcome;
}

const at = (message, what) => `/api/conversations/${conversation.id}/messages/${message.id}${what}`;
const isDone = (id) => eventually('its reply', () => follower.state.messages.find((one) => one.id === id)?.replyState === 'done', patience);

test('a message, its reply as it comes, and the reply', async () => {
  model.plan = { ...plan, steps: true };
  const sent = await verify(async () => (await ada.send(conversation, 'Hello #one')).body.message, 'message:new', 'conversation:state', 'usage:updated');
  await eventually('the model is asked', () => model.callsFor('#one').length > 0, patience);
  await verify(async () => model.step(3), 'reply:delta');
  // Another one waits while the first is answered.
  const waits = await verify(async () => (await ben.send(conversation, 'And I? #two')).body.message, 'message:new', 'conversation:state');
  await verify(async () => model.release(), 'reply:delta', 'message:new', 'conversation:state');
  await isDone(sent.id);
  await isDone(waits.id);
  await verify(() => {});
});

test('a reply that fails, and is asked for once more', async () => {
  model.plan = { ...plan, fail: 400 };
  const { message } = (await verify(async () => (await ada.send(conversation, 'Well? #fails')).body, 'message:new', 'reply:error', 'conversation:state'));
  model.plan = plan;
  await verify(() => ada.must('POST', at(message, '/retry')), 'message:updated', 'reply:start', 'message:new');
  await isDone(message.id);
});

test('a reply that is stopped', async () => {
  model.plan = { ...plan, steps: true };
  const { message } = (await ada.send(conversation, 'Go on #stopped')).body;
  await eventually('the model is asked', () => model.callsFor('#stopped').length > 0, patience);
  await verify(async () => model.step(2), 'reply:delta');
  await verify(() => ada.must('POST', `/api/conversations/${conversation.id}/cancel`), 'message:new', 'conversation:state');
  await isDone(message.id);
  model.release();
});

test('what was said last, changed', async () => {
  model.plan = plan;
  const { message } = (await ada.send(conversation, 'Once more #change')).body;
  await isDone(message.id);
  const reply = follower.state.messages.at(-1);
  model.plan = { ...plan, chunks: 9 };
  const varied = () => eventually('the variant', () => (follower.state.messages.at(-1).variants?.count ?? 0) > 1 && isDone(message.id), patience);
  await verify(async () => { await ada.must('POST', at(reply, '/regenerate')); await varied(); }, 'message:updated', 'reply:start', 'reply:delta');
  await verify(() => ada.must('PUT', at(reply, '/variant'), { selected: 0 }), 'message:updated');
  await verify(() => ada.must('POST', at(reply, '/continue')), 'message:updated', 'reply:start');
  await isDone(message.id);
  await verify(() => ada.must('PATCH', at(reply, ''), { text: 'As Ada would have it.' }), 'message:updated');
  assert.equal(follower.state.messages.at(-1).text, 'As Ada would have it.');
  await verify(() => ada.must('PATCH', at(message, ''), { text: 'In other words #edited' }), 'message:updated', 'reply:start');
  await isDone(message.id);
  await verify(() => {});
});

test('the last exchange, removed', async () => {
  const asked = follower.state.messages.findLast((message) => message.role === 'user');
  await verify(() => ada.must('DELETE', at(asked, '')), 'message:removed');
});

test('somebody types, and no longer', async () => {
  const socket = await ben.socket({ join: [conversation] });
  const typing = (now) => socket.io.emit('typing', { conversationId: conversation.id, typing: now });
  typing(true);
  await eventually('somebody types', () => follower.state.typists.includes(ben.id), patience);
  // Who comes now hears of it when they type on.
  const newcomer = await Follower.begin(ada);
  typing(true);
  await eventually('who came hears it', () => newcomer.state.typists.includes(ben.id), patience);
  assert.deepEqual(follower.view, newcomer.view);
  newcomer.end();
  await verify(async () => typing(false), 'typing');
});

test('who lost events is told to join again, and then knows all', async () => {
  follower.deaf = true;
  const { message } = (await ada.send(conversation, 'Unheard #lost')).body;
  await follower.socket.reply(message.id, patience);
  await eventually('the end of it', () => follower.socket.of('message:updated').some((one) => one.message.id === message.id && one.message.replyState === 'done'), patience);
  follower.deaf = false;
  const { joins } = follower;
  follower.take('conversation:resync', { conversationId: conversation.id });
  await eventually('joined again', () => follower.joins === joins + 1 && follower.state.joined && !follower.state.joining, patience);
  follower.uses(await ada.must('GET', `/api/auth/usage/${conversation.characterId}`));
  await verify(() => {});
  verified.add('conversation:resync');
});

/** The list of somebody who is elsewhere, as the page keeps it; `apply` answers undefined for what has to be read anew. */
async function followList(person, applied) {
  const read = async () => (await person.must('GET', '/api/conversations?limit=100')).items;
  const list = { socket: await person.socket(), listing: { items: await read(), nextCursor: null }, anew: 0 };
  list.socket.io.onAny((name, payload) => {
    const next = applied[name]?.(list.listing, payload);
    if (next !== undefined) list.listing = next;
    else if (name in applied) list.anew += 1;
  });
  list.verify = async (events) => {
    for (const [event, matches] of Object.entries(events)) await list.socket.until(event, matches, patience);
    let fresh;
    const equal = async () => {
      fresh = await read();
      return JSON.stringify(list.listing.items) === JSON.stringify(fresh);
    };
    await eventually('the same list', equal, patience).catch(() => assert.deepEqual(list.listing.items, fresh));
    assert.equal(list.anew, 0, 'what was told was enough');
    for (const event of Object.keys(events)) verified.add(event);
  };
  return list;
}

test('a list follows what is said, read and named elsewhere', async () => {
  model.plan = plan;
  const list = await followList(ben, {
    'conversation:activity': (listing, { conversationId, lastMessage, lastSeq }) => saidIn(listing, ben.id, conversationId, lastMessage, lastSeq),
    'conversation:read': (listing, { conversationId, unread }) => readIn(listing, conversationId, unread),
  });
  const { message } = (await ada.send(conversation, 'Who listens? #elsewhere')).body;
  await list.verify({ 'conversation:activity': ({ lastMessage }) => lastMessage?.inReplyTo === message.id });
  assert.ok(list.listing.items.find(({ id }) => id === conversation.id).unread >= 2);
  await ben.must('PUT', `/api/conversations/${conversation.id}/read`, { seq: message.seq + 1 });
  await list.verify({ 'conversation:read': ({ unread }) => unread === 0 });
  list.socket.close();
});

test('a room tells of its name and its people, and each of coming and going', async () => {
  const where = `/api/conversations/${conversation.id}`;
  const socket = await ben.socket({ join: [conversation] });
  globalThis.location = { pathname: '/' };
  try {
    await asPageOf(ben, socket, async (connection) => {
      clearRooms();
      followRooms(connection);
      await loadConversations();
      await loadMembers(conversation.id);
      const verifyRoom = async (event, act) => {
        const heard = socket.of(event).length;
        await act();
        await eventually(event, () => socket.of(event).length > heard, patience);
        let known;
        let fresh;
        const equal = async () => {
          const { items } = await ben.must('GET', '/api/conversations?limit=30');
          const isIn = items.some(({ id }) => id === conversation.id);
          const people = isIn ? (await ben.must('GET', `${where}/members`)).items : undefined;
          fresh = { items, people, isGone: !isIn };
          // Of a room that one is taken into its people are read when it is opened.
          if (event === 'conversation:added') await loadMembers(conversation.id);
          known = { items: conversations.get().items, people: members.get()[conversation.id], isGone: gone.get()[conversation.id] ?? false };
          return JSON.stringify(known) === JSON.stringify(fresh);
        };
        await eventually('the same', equal, patience).catch(() => assert.deepEqual(known, fresh));
        verified.add(event);
      };
      await verifyRoom('conversation:updated', () => ada.must('PATCH', where, { title: 'By another name' }));
      const cleo = await server.register();
      await verifyRoom('conversation:updated', () => ada.must('POST', `${where}/members`, { userId: cleo.id }));
      await verifyRoom('conversation:updated', () => ada.must('DELETE', `${where}/members`, { userId: cleo.id }));
      await verifyRoom('conversation:removed', () => ada.must('DELETE', `${where}/members`, { userId: ben.id }));
      await verifyRoom('conversation:added', () => ada.must('POST', `${where}/members`, { userId: ben.id }));
    });
  } finally {
    delete globalThis.location;
    socket.close();
  }
});

test('a form that is saved in one place is in another what the server has', async () => {
  const path = '/api/drafts/character-new';
  const blank = { step: 0, name: '' };
  const place = {
    read: async () => {
      const { status, body } = await ada.api('GET', path);
      return status === 404 ? undefined : body.draft;
    },
    save: async (data) => (await ada.must('PUT', path, data)).draft,
    remove: () => ada.must('DELETE', path),
  };
  // Nothing was typed here that the server lacks.
  const keeper = new DraftKeeper(place, blank, 'this page', { read: () => undefined, write: () => undefined });
  await keeper.open();
  follower.socket.io.on('draft:updated', ({ key, savedAt }) => key === 'character-new' && void keeper.heard(savedAt));
  await ada.must('PUT', path, { step: 2, name: 'Mara' });
  const { elsewhere } = await eventually('it is told', () => keeper.store.get().elsewhere && keeper.store.get(), patience);
  const { draft } = await ada.must('GET', path);
  assert.deepEqual(elsewhere, { savedAt: draft.savedAt, value: { ...blank, ...draft.data } });
  await ada.must('DELETE', path);
  await eventually('it is gone', () => keeper.store.get().elsewhere?.savedAt === null, patience);
  assert.equal((await ada.api('GET', path)).status, 404);
  verified.add('draft:updated');
});

test('settings that are saved in one place are in another what the server has', async () => {
  const path = '/api/users/me/preferences';
  const socket = await ada.socket();
  await asPageOf(ada, socket, async ({ onEvent }) => {
    await loadPreferences();
    followPreferences({ onEvent, state: { get: () => 'connected', subscribe: () => () => {} } });
    for (const changed of [{ favourites: [conversation.characterId], other: 1 }, { favourites: [], other: [2] }]) {
      await ada.must('PUT', path, changed);
      let fresh;
      const equal = async () => {
        fresh = await ada.must('GET', path);
        return JSON.stringify(preferences.get()) === JSON.stringify(fresh);
      };
      await eventually('the same', equal, patience).catch(() => assert.deepEqual(preferences.get(), fresh));
    }
  });
  socket.close();
  verified.add('preferences:updated');
});

async function uploaded(size) {
  const form = new FormData();
  form.append('file', new Blob([png(size, size)]), 'face.png');
  const answer = await fetch(`${ada.server.url}/api/uploads`, { method: 'POST', headers: { authorization: `Bearer ${ada.token}` }, body: form });
  assert.equal(answer.status, 201);
  return (await answer.json()).upload.id;
}

test('pictures of a character that are known are read anew when they change', async () => {
  const where = `/api/characters/${conversation.characterId}/gallery`;
  // Who looks on: the page's own store of pictures, which asks as Ben.
  const onlooker = await ben.socket({ join: [conversation] });
  await asPageOf(ben, onlooker, async ({ onEvent }) => {
    await loadGallery(conversation.characterId);
    onEvent(({ name, payload }) => name === 'gallery:updated' && void renewGallery(payload.characterId));
    const verifyGallery = async (act) => {
      const heard = () => [onlooker, follower.socket].map((socket) => socket.of('gallery:updated').length);
      const before = heard();
      await act();
      await eventually('both are told', () => heard().every((count, which) => count > before[which]), patience);
      const fresh = (await ben.must('GET', where)).items;
      const known = () => galleries.get()[conversation.characterId];
      await eventually('the same', () => JSON.stringify(known()) === JSON.stringify(fresh), patience)
        .catch(() => assert.deepEqual(known(), fresh));
    };
    const [one, other] = [await uploaded(40), await uploaded(44)];
    await verifyGallery(() => ada.must('POST', where, { uploadId: one, expression: 'joy' }));
    await verifyGallery(() => ada.must('POST', where, { uploadId: other }));
    await verifyGallery(() => ada.must('PATCH', `${where}/${other}`, { position: 0, caption: 'Home.' }));
    await verifyGallery(() => ada.must('DELETE', `${where}/${one}`));
    assert.deepEqual(galleries.get()[conversation.characterId].map(({ id }) => id), [other]);
    verified.add('gallery:updated');
  }).finally(() => onlooker.close());
});

test('an upload as it was told of is the upload', async () => {
  await asPageOf(ada, follower.socket, async (connection) => {
    const form = new FormData();
    form.append('file', new Blob([png(64, 48)]), 'tide.png');
    const answer = await fetch('/api/uploads', { method: 'POST', body: form });
    assert.equal(answer.status, 201);
    const { upload } = await answer.json();
    const known = await settled(connection, upload, new AbortController().signal);
    const fresh = (await ada.must('GET', `/api/uploads/${upload.id}`)).upload;
    assert.deepEqual(known, fresh);
    const told = await follower.socket.until('upload:updated', (one) => one.upload.id === upload.id && one.upload.status === 'ready', patience);
    assert.deepEqual(told.upload, fresh);
  });
  verified.add('upload:updated');
});

test('no event is left out above', async () => {
  assert.deepEqual(SERVER_EVENTS.filter((event) => !verified.has(event)), []);
  const source = await readFile(new URL('../../crates/domain/src/event.rs', import.meta.url), 'utf8');
  const told = [...source.matchAll(/#\[serde\(rename = "([a-z:]+)"\)\]/g)].map(([, name]) => name);
  assert.deepEqual([...SERVER_EVENTS].sort(), told.sort(), 'the events of the server and those of the page');
});
