import { describe, expect, it } from 'vitest';
import type { Conversation, Message } from '../api/types';
import { placed, readIn, saidIn, shownCount, unreadIn, type Listing } from './listing';

const ME = 'u1';

/** The server's side: what is stored, and the list that it would answer. */
class Server {
  readonly talks = new Map<string, { messages: Message[]; read: number; updatedAt: string }>();
  #clock = 0;

  open(id: string): void {
    this.talks.set(id, { messages: [], read: 0, updatedAt: this.#now() });
  }

  say(id: string, senderId: string, text = 'words'): Message {
    const talk = this.#talk(id);
    const createdAt = this.#now();
    const seq = talk.messages.length + 1;
    const message = {
      id: `${id}-${createdAt}`,
      conversationId: id,
      seq,
      senderId,
      text,
      createdAt,
    } as Message;
    talk.messages.push(message);
    talk.updatedAt = createdAt;
    if (senderId === ME) talk.read = seq;
    return message;
  }

  choose(id: string, text: string): Message {
    const talk = this.#talk(id);
    const last = { ...(talk.messages.at(-1) as Message), text };
    talk.messages = [...talk.messages.slice(0, -1), last];
    return last;
  }

  remove(id: string, count: number): Message | null {
    const talk = this.#talk(id);
    talk.messages = talk.messages.slice(0, -count);
    talk.read = Math.min(talk.read, talk.messages.length);
    talk.updatedAt = this.#now();
    return talk.messages.at(-1) ?? null;
  }

  read(id: string): number {
    this.#talk(id).read = this.#talk(id).messages.length;
    return 0;
  }

  item(id: string): Conversation {
    const { messages, read, updatedAt } = this.#talk(id);
    const unread = messages.filter((one) => one.seq > read && one.senderId !== ME).length;
    const lastMessage = messages.at(-1) ?? null;
    return { id, updatedAt, lastSeq: messages.length, lastMessage, unread } as Conversation;
  }

  listing(): Listing {
    const items = [...this.talks.keys()].map((id) => this.item(id));
    return { items: items.sort((a, b) => b.updatedAt.localeCompare(a.updatedAt)), nextCursor: null };
  }

  #talk(id: string) {
    const talk = this.talks.get(id);
    if (talk === undefined) throw new Error(`there is no ${id}`);
    return talk;
  }

  #now(): string {
    this.#clock += 1;
    return new Date(Date.UTC(2026, 10, 23) + this.#clock * 1_000).toISOString();
  }
}

describe('the list of conversations', () => {
  it('is what a fresh read gives after every event', () => {
    const server = new Server();
    for (const id of ['a', 'b', 'c']) server.open(id);
    let here = server.listing();
    const hear = (id: string, message: Message | null, lastSeq: number) => {
      // As the page does: what does not follow is read anew.
      here = saidIn(here, ME, id, message, lastSeq) ?? placed(here, server.item(id));
      expect(here).toEqual(server.listing());
    };
    const said = (id: string, sender: string) => {
      const message = server.say(id, sender);
      hear(id, message, message.seq);
    };
    said('a', ME);
    said('a', 'mara');
    said('b', 'u2');
    said('b', 'mara');
    expect(here.items.map((item) => [item.id, item.unread])).toEqual([
      ['b', 2],
      ['a', 1],
      ['c', 0],
    ]);
    here = readIn(here, 'b', server.read('b'));
    expect(here).toEqual(server.listing());
    const chosen = server.choose('a', 'another variant');
    hear('a', chosen, chosen.seq);
    hear('a', server.remove('a', 2), 0);
    said('a', 'mara');
    // An event was lost before this one.
    server.say('c', 'u2');
    said('c', 'u2');
    // One was heard twice.
    const { lastMessage, lastSeq } = server.item('c');
    hear('c', lastMessage ?? null, lastSeq);
    server.open('d');
    said('d', 'mara');
    expect(unreadIn(here)).toBe(4);
  });

  it('does not guess where the end was removed and written anew', () => {
    const server = new Server();
    server.open('a');
    server.say('a', ME);
    const here = server.listing();
    server.remove('a', 1);
    const anew = server.say('a', 'mara');
    expect(saidIn(here, ME, 'a', anew, 1)).toBeUndefined();
  });

  it('counts no further than is shown', () => {
    expect([1, 99, 100].map(shownCount)).toEqual(['1', '99', '99+']);
  });
});
