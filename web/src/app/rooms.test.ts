// @vitest-environment jsdom
/** For every event: what it makes of the page's state is what the server would answer anew. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Conversation, Participant } from '../api/types';
import { message } from '../chat/model';
import { emptyChat, reduceChat } from '../chat/state';
import type { Connection } from '../live/connection';
import type { ServerEvent } from '../live/events';
import { clearLibrary, conversations, loadConversations, takeConversation, takeSaid } from './library';
import { clearRooms, followRooms, gone, leaveConversation, loadMembers, members, parting } from './rooms';

const participant = (id: string): Participant => ({
  user: { id, username: id, displayName: id.toUpperCase(), avatarUrl: null },
  role: id === 'anna' ? 'owner' : 'guest',
  joinedAt: '2026-11-23T04:38:48.120Z',
});

/** A server with one conversation of `me` and some others. */
class Server {
  title = 'Mara';
  people = ['anna', 'me'];
  updatedAt = '2026-11-23T05:00:00.000Z';
  lastSeq = 1;
  lastMessage = message(1);
  isIn = true;
  left: string[] = [];

  get room() {
    return {
      id: 'c1',
      ownerId: 'anna',
      characterId: 'mara',
      title: this.title,
      memberIds: [...this.people],
      lastSeq: this.lastSeq,
      removals: 0,
      createdAt: '2026-11-23T04:00:00.000Z',
      updatedAt: this.updatedAt,
    };
  }

  get item(): Conversation {
    const character = { id: 'mara', name: 'Mara', avatarUrl: null };
    return { ...this.room, character, lastMessage: this.lastMessage, unread: 0 };
  }

  other: Conversation = { ...this.item, id: 'c2', updatedAt: '2026-11-23T05:30:00.000Z' };

  answer(path: string, method: string): unknown {
    if (method === 'DELETE') {
      this.left.push(path);
      return undefined;
    }
    if (path.endsWith('/members')) return { items: this.people.map(participant) };
    if (path.startsWith('/api/conversations?')) {
      const items = this.isIn ? [this.item, this.other] : [this.other];
      return { items: items.sort((a, b) => b.updatedAt.localeCompare(a.updatedAt)), nextCursor: null };
    }
    return { conversation: this.item };
  }
}

let server: Server;
let tell: (event: ServerEvent) => void;

beforeEach(async () => {
  server = new Server();
  vi.stubGlobal('fetch', (path: string, { method }: { method: string }) => {
    const body = server.answer(path, method);
    return Promise.resolve(
      body === undefined ? new Response(null, { status: 204 }) : new Response(JSON.stringify(body)),
    );
  });
  clearLibrary();
  clearRooms();
  const connection = {
    onEvent: (listener: (event: ServerEvent) => void) => {
      tell = listener;
      return () => undefined;
    },
  };
  followRooms(connection as unknown as Connection);
  await loadConversations();
  await loadMembers('c1');
});
afterEach(() => vi.unstubAllGlobals());

async function assertFresh(): Promise<void> {
  // What is read because of an event has come.
  await vi.waitFor(() =>
    expect(members.get().c1).toEqual(server.isIn ? server.people.map(participant) : undefined),
  );
  const { items } = conversations.get();
  const shown = [...items];
  clearLibrary();
  await loadConversations();
  expect(shown).toEqual(conversations.get().items);
}

const updated = (): ServerEvent => ({ name: 'conversation:updated', payload: { conversation: server.room } });

describe('what the socket tells of a conversation equals reading it anew', () => {
  it('when it has another name', async () => {
    server.title = 'At night';
    server.updatedAt = '2026-11-23T06:00:00.000Z';
    tell(updated());
    expect(conversations.get().items[0]?.title).toBe('At night');
    await assertFresh();
  });

  it('when somebody comes and somebody goes', async () => {
    for (const people of [
      ['anna', 'me', 'ben'],
      ['anna', 'me'],
      ['anna', 'me', 'cleo', 'ben'],
    ]) {
      server.people = people;
      tell(updated());
      await assertFresh();
    }
  });

  it('when it is told late, after a message', () => {
    const late = updated();
    server.lastSeq = 2;
    server.lastMessage = message(2, { createdAt: '2026-11-23T07:00:00.000Z' });
    server.updatedAt = server.lastMessage.createdAt;
    takeSaid('anna', 'c1', server.lastMessage, 2);
    tell(late);
    expect(conversations.get().items[0]?.updatedAt).toBe(server.updatedAt);
    expect(conversations.get().items[0]?.lastMessage?.seq).toBe(2);
  });

  it('when this person is taken out, and comes in again', async () => {
    server.isIn = false;
    tell({ name: 'conversation:removed', payload: { conversationId: 'c1' } });
    await assertFresh();
    expect(gone.get()).toEqual({ c1: true });
    server.isIn = true;
    tell({ name: 'conversation:added', payload: { conversationId: 'c1' } });
    await vi.waitFor(() => expect(conversations.get().items).toHaveLength(2));
    expect(gone.get()).toEqual({});
    await loadMembers('c1');
    await assertFresh();
  });
});

describe('somebody who looks at a conversation that they are taken out of', () => {
  afterEach(() => history.replaceState(null, '', '/'));

  it('is told', () => {
    history.replaceState(null, '', '/c/c1');
    tell({ name: 'conversation:removed', payload: { conversationId: 'c1' } });
    expect(parting.get()).toEqual({ id: 'c1', title: 'Mara' });
  });

  it('is not told of what they did themselves, or do not look at', async () => {
    tell({ name: 'conversation:removed', payload: { conversationId: 'c2' } });
    history.replaceState(null, '', '/c/c1');
    await leaveConversation('c1', 'me');
    tell({ name: 'conversation:removed', payload: { conversationId: 'c1' } });
    expect(parting.get()).toBeUndefined();
    expect(server.left).toEqual(['/api/conversations/c1/members']);
    expect(conversations.get().items).toEqual([]);
  });
});

describe('an open chat', () => {
  it('forgets that somebody types who left', () => {
    let state = emptyChat('c1', 'mara', 'me');
    const types = (userId: string): ServerEvent => ({
      name: 'typing',
      payload: { conversationId: 'c1', userId, typing: true },
    });
    for (const event of [types('anna'), types('ben'), updated()]) {
      state = reduceChat(state, { type: 'event', event });
    }
    expect(state.typists).toEqual(['anna']);
    const elsewhere = { ...server.room, id: 'c2', memberIds: [] };
    const event: ServerEvent = { name: 'conversation:updated', payload: { conversation: elsewhere } };
    expect(reduceChat(state, { type: 'event', event })).toBe(state);
  });
});

it('a conversation that is read anew replaces what was known', () => {
  takeConversation({ ...server.item, title: 'Else' });
  expect(conversations.get().items.find(({ id }) => id === 'c1')?.title).toBe('Else');
});
