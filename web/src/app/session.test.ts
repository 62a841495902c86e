import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { asApiError } from '../api/client';
import { blocks, loadBlocks } from '../safety/safety';
import { galleries, loadGallery } from './gallery';
import {
  characters,
  conversations,
  loadCharacter,
  loadConversation,
  loadConversations,
  loadUsage,
  refreshConversations,
  usages,
} from './library';
import { deletePersona, loadPersonas, personas, savePersona } from './personas';
import { preferences } from './preferences';
import { loadMembers, loadPerson, members, people, restoreConversation } from './rooms';
import { logIn, logOut, session } from './session';

vi.mock('../live/connection', () => ({
  LiveConnection: class {
    state = { get: () => 'connected', subscribe: () => () => undefined };
    onEvent = () => () => undefined;
    close = () => undefined;
  },
}));

/** A server whose answers wait until they are let go; who it answers is told by its cookie, as it was when it was asked. */
let held: (() => void)[] = [];
let holds = false;
let refuses = false;
let cookie = '';

const TIME = '2026-11-23T04:38:48.120Z';

function answer(path: string, who: string): unknown {
  const user = { id: who, username: who, displayName: who, createdAt: TIME };
  const persona = { id: `persona of ${who}`, name: who, description: '', isDefault: false, revision: 1 };
  const item = {
    id: `of ${who}`,
    updatedAt: TIME,
    createdAt: TIME,
    characterId: 'mara',
    lastSeq: 0,
    unread: 0,
  };
  if (path.includes('/login')) return { user };
  if (path.endsWith('/personas')) return { items: [persona], persona };
  if (path.endsWith('/usage')) return { characters: { [who]: { text: { used: 1 } } }, limits: {} };
  if (path.endsWith('/preferences')) return { favourites: [`${who}’s`] };
  if (path.endsWith('/blocks')) return { items: [{ user, createdAt: TIME }] };
  if (path.endsWith('/members')) return { items: [{ user, role: 'owner', joinedAt: TIME }] };
  if (path.startsWith('/api/users/')) return { user };
  if (path.endsWith('/gallery')) return { items: [{ id: `picture of ${who}` }] };
  if (path.startsWith('/api/characters/')) return { character: { id: 'mara', name: `Mara of ${who}` } };
  if (/conversations($|\?)/.test(path)) return { items: [item], nextCursor: null };
  return { conversation: item };
}

beforeEach(() => {
  [held, holds, refuses, cookie] = [[], false, false, ''];
  vi.stubGlobal('fetch', async (path: string, { method, body }: RequestInit) => {
    if (path.includes('/login'))
      cookie = (JSON.parse(typeof body === 'string' ? body : '{}') as { login: string }).login;
    const who = cookie;
    const mayGo = holds ? new Promise<void>((go) => held.push(go)) : undefined;
    await mayGo;
    if (mayGo && refuses) return Response.json({ code: 'unauthenticated' }, { status: 401 });
    return method === 'DELETE' ? new Response(null, { status: 204 }) : Response.json(answer(path, who));
  });
});
afterEach(async () => {
  await logOut();
  vi.unstubAllGlobals();
});

/** Anna asks for all that there is, and Ben is signed in before she gets it. */
async function switched(...loads: (() => Promise<unknown>)[]): Promise<string[]> {
  await logIn('anna', 'secret');
  await vi.waitFor(() => expect(preferences.get()).toBeDefined());
  holds = true;
  const late = loads.map((load) => load());
  const outcomes = Promise.allSettled(late);
  holds = false;
  await logOut();
  await logIn('ben', 'secret');
  await vi.waitFor(() => expect(preferences.get()?.favourites).toEqual(['ben’s']));
  held.forEach((go) => go());
  return (await outcomes).map((one) => (one.status === 'fulfilled' ? 'done' : asApiError(one.reason).code));
}

describe('what was asked for by somebody who is no longer here', () => {
  const LOADS = {
    loadPersonas,
    savePersona: () => savePersona({ name: 'anna' }),
    deletePersona: () => deletePersona('persona of ben'),
    loadConversations,
    loadConversation: () => loadConversation('c1'),
    restoreConversation: () => restoreConversation('c1'),
    loadMembers: () => loadMembers('c1'),
    loadPerson: () => loadPerson('cleo'),
    loadCharacter: () => loadCharacter('mara'),
    loadGallery: () => loadGallery('mara'),
    loadUsage,
    loadBlocks,
  };
  it.each(Object.entries(LOADS))('is not shown to the next (%s)', async (_, load) => {
    await switched(load);
    expect({
      personas: personas.get(),
      conversations: conversations.get(),
      members: members.get(),
      people: people.get(),
      characters: characters.get(),
      galleries: galleries.get(),
      usages: usages.get(),
      blocks: blocks.get(),
    }).toEqual({
      personas: undefined,
      conversations: { items: [], nextCursor: undefined },
      members: {},
      people: {},
      characters: {},
      galleries: {},
      usages: {},
      blocks: undefined,
    });
  });

  it('takes no place of what the next asked for', async () => {
    const outcomes = await switched(loadConversations, loadPersonas, refreshConversations);
    expect(outcomes).toEqual(['left', 'left', 'done']);
    await Promise.all([loadConversations(), loadPersonas(), loadBlocks()]);
    expect(conversations.get().items.map(({ id }) => id)).toEqual(['of ben']);
    expect(personas.get()?.map(({ id }) => id)).toEqual(['persona of ben']);
    expect(blocks.get()?.map(({ user }) => user.id)).toEqual(['ben']);
  });

  it('signs nobody out who came later', async () => {
    refuses = true;
    expect(await switched(loadPersonas)).toEqual(['left']);
    expect(session.get()).toMatchObject({ status: 'in', user: { id: 'ben' } });
  });
});

it('a session that is over signs out whoever asked', async () => {
  await logIn('anna', 'secret');
  [holds, refuses] = [true, true];
  const late = loadPersonas().catch((error: unknown) => asApiError(error).code);
  holds = false;
  held.forEach((go) => go());
  expect(await late).toBe('unauthenticated');
  expect(session.get().status).toBe('out');
});
