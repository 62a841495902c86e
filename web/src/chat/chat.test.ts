import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Message } from '../api/types';
import { createStore } from '../lib/store';
import type { Connection, ConnectionState } from '../live/connection';
import type { ClientEvents, ServerEvent } from '../live/events';
import { Chat } from './chat';
import { CHARACTER, CONVERSATION, ME, message } from './model';
import { recallUnsent } from './unsent';

type Asked = { [N in keyof ClientEvents]: { name: N; ask: ClientEvents[N]['ask'] } }[keyof ClientEvents];

/** A connection whose other side is this test. */
class Wire implements Connection {
  readonly state = createStore<ConnectionState>('connected');
  readonly asked: Asked[] = [];
  readonly told: boolean[] = [];
  answers: (asked: Asked) => unknown = (asked) =>
    asked.name === 'conversation:join' ? { ok: true, state: 'idle', pending: 0, messages: [] } : { ok: true };
  #listener: (event: ServerEvent) => void = () => undefined;

  ask<N extends keyof ClientEvents>(
    name: N,
    ask: ClientEvents[N]['ask'],
  ): Promise<ClientEvents[N]['answer']> {
    const asked = { name, ask } as Asked;
    this.asked.push(asked);
    return Promise.resolve().then(() => this.answers(asked) as ClientEvents[N]['answer']);
  }

  tell(_: 'typing', payload: { typing: boolean }): void {
    this.told.push(payload.typing);
  }

  onEvent(listener: (event: ServerEvent) => void): () => void {
    this.#listener = listener;
    return () => (this.#listener = () => undefined);
  }

  emit(event: ServerEvent): void {
    this.#listener(event);
  }

  sends() {
    return this.asked.filter((one) => one.name === 'message:send').map(({ ask }) => ask);
  }

  joins() {
    return this.asked.filter((one) => one.name === 'conversation:join').map(({ ask }) => ask);
  }
}

let history: Message[];
let wire: Wire;
let chat: Chat;
const state = () => chat.store.get().state;
const settle = (milliseconds = 0) => vi.advanceTimersByTimeAsync(milliseconds);

function open(): Chat {
  const opened = new Chat(CONVERSATION, CHARACTER, ME, wire);
  opened.open();
  return opened;
}

beforeEach(async () => {
  vi.useFakeTimers();
  localStorage.clear();
  history = [message(1, { role: 'character', text: 'Hello.' })];
  vi.stubGlobal('fetch', () => Promise.resolve(Response.json({ items: history, hasMore: false })));
  wire = new Wire();
  chat = open();
  await settle();
});

afterEach(() => {
  chat.close();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('an open conversation', () => {
  it('reads the newest page and joins from its end', () => {
    expect(state()).toMatchObject({ loaded: true, joined: true });
    expect(wire.joins()).toEqual([{ conversationId: CONVERSATION, afterSeq: 1 }]);
  });

  it('joins again after a lost connection, a resync and a gap', async () => {
    wire.state.set('reconnecting');
    expect(state().joined).toBe(false);
    wire.state.set('connected');
    await settle(500);
    expect(state().joined).toBe(true);
    wire.emit({ name: 'conversation:resync', payload: { conversationId: CONVERSATION } });
    await settle(2_000);
    expect(wire.joins()).toHaveLength(3);
    wire.emit({ name: 'message:new', payload: { message: message(5) } });
    wire.answers = () => ({
      ok: true,
      state: 'idle',
      pending: 0,
      messages: [2, 3, 4].map((seq) => message(seq)),
    });
    await settle(3_000);
    expect(state().messages.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
  });

  it('reads anew where the end was removed and written again meanwhile', async () => {
    history = [message(1, { role: 'character', text: 'Hello.' }), message(2), message(3, { id: 'old' })];
    chat.close();
    chat = open();
    await settle();
    wire.state.set('reconnecting');
    history = [...history.slice(0, 2), message(3, { id: 'new' })];
    // The same `seq`: nothing but the count of removals tells.
    wire.answers = () => ({ ok: true, state: 'idle', pending: 0, messages: [], removals: 1 });
    wire.state.set('connected');
    await settle(2_000);
    expect(state().messages.map(({ id }) => id)).toEqual(['m1', 'm2', 'new']);
    expect(state()).toMatchObject({ joined: true, needsReload: false, removals: 1 });
    const payload = { conversationId: CONVERSATION, fromSeq: 3, removals: 2, messageIds: ['new'] };
    wire.emit({ name: 'message:removed', payload });
    expect(state().messages.map(({ id }) => id)).toEqual(['m1', 'm2']);
  });

  it('that could not be read is read by itself once the connection is back', async () => {
    chat.close();
    const { fetch } = globalThis;
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('away')));
    wire.state.set('offline');
    chat = open();
    await settle();
    expect(chat.store.get().error?.code).toBe('offline');
    vi.stubGlobal('fetch', fetch);
    wire.state.set('connected');
    await settle(1_000);
    expect(chat.store.get().error).toBeUndefined();
    expect(state()).toMatchObject({ loaded: true, joined: true });
  });

  it('does not hammer a server that keeps refusing', async () => {
    wire.answers = () => ({ ok: false, error: { code: 'unavailable', detail: 'Busy.' } });
    wire.state.set('reconnecting');
    wire.state.set('connected');
    await settle(60_000);
    expect(wire.joins().length).toBeGreaterThan(5);
    expect(wire.joins().length).toBeLessThan(20);
  });
});

describe('earlier messages', () => {
  /** Pages that were asked for and are not answered yet, each with a way to answer it. */
  let asked: { before: number; answer: () => void; fail: () => void }[];
  /** The server has so many messages. */
  let count: number;

  const page = (before: number) => {
    const from = Math.max(1, before - 50);
    const items = Array.from({ length: before - from }, (_, n) => message(from + n));
    return Response.json({ items, hasMore: from > 1 });
  };

  beforeEach(async () => {
    chat.close();
    asked = [];
    count = 200;
    vi.stubGlobal('fetch', (path: string) => {
      const before = Number(new URL(path, 'http://aim').searchParams.get('before') ?? count + 1);
      if (before > count) return Promise.resolve(page(before));
      return new Promise((done, lose) => {
        asked.push({ before, answer: () => done(page(before)), fail: () => lose(new TypeError('away')) });
      });
    });
    chat = open();
    await settle();
  });

  const next = async (how: 'answer' | 'fail' = 'answer') => {
    asked.shift()?.[how]();
    await settle();
  };
  const seqs = () => state().messages.map(({ seq }) => seq);
  const upTo = (last: number, first: number) => Array.from({ length: last - first + 1 }, (_, n) => first + n);

  it('are read to a message while a page of them is under way, which is asked for once', async () => {
    void chat.loadEarlier();
    let isThere = false;
    void chat.loadUntil(60).then(() => (isThere = true));
    await settle();
    expect(asked.map(({ before }) => before)).toEqual([151]);
    await next();
    expect([isThere, asked.map(({ before }) => before)]).toEqual([false, [101]]);
    await next();
    expect(isThere).toBe(true);
    expect(seqs()).toEqual(upTo(200, 51));
  });

  it('are read to a message though the page that was under way does not come', async () => {
    chat.loadEarlier().catch(() => undefined);
    const going = chat.loadUntil(120);
    await settle();
    await next('fail');
    await next();
    await going;
    expect(seqs()).toEqual(upTo(200, 101));
  });

  it('are read no further for who goes elsewhere', async () => {
    const control = new AbortController();
    const going = chat.loadUntil(1, control.signal);
    control.abort();
    await next();
    await going;
    expect(asked).toEqual([]);
  });

  it('that come late are not put into what was read anew meanwhile', async () => {
    void chat.loadEarlier();
    // The end was removed while this page was away, and much was said since.
    wire.answers = () => ({ ok: true, state: 'idle', pending: 0, messages: [], removals: 1 });
    wire.emit({ name: 'conversation:resync', payload: { conversationId: CONVERSATION } });
    count = 400;
    await settle(2_000);
    await next();
    expect(seqs()).toEqual(upTo(400, 351));
    expect(state().hasEarlier).toBe(true);
  });
});

describe('sending', () => {
  const stored = (ask: { clientId: string; text: string }, seq: number) => ({
    ok: true,
    message: message(seq, { clientId: ask.clientId, text: ask.text }),
    state: 'processing',
  });

  it('goes in order, one after the other', async () => {
    const release: (() => void)[] = [];
    const answer = wire.answers;
    wire.answers = (asked) =>
      asked.name === 'message:send'
        ? new Promise((resolve) => release.push(() => resolve(stored(asked.ask, 1 + release.length))))
        : answer(asked);
    chat.send('one');
    chat.send('two');
    await settle();
    expect(wire.sends().map(({ text }) => text)).toEqual(['one']);
    release[0]?.();
    await settle();
    expect(wire.sends().map(({ text }) => text)).toEqual(['one', 'two']);
    release[1]?.();
    await settle();
    expect(state().unsent).toEqual([]);
    expect(state().messages.map(({ text }) => text)).toEqual(['Hello.', 'one', 'two']);
  });

  it('waits out a lost connection and then sends the same message', async () => {
    const answer = wire.answers;
    wire.answers = (asked) => {
      if (asked.name !== 'message:send') return answer(asked);
      wire.state.set('reconnecting');
      throw new Error('socket has been disconnected');
    };
    chat.send('hello');
    await settle();
    expect(state().unsent).toMatchObject([{ text: 'hello', status: 'sending' }]);
    wire.answers = (asked) => (asked.name === 'message:send' ? stored(asked.ask, 2) : answer(asked));
    wire.state.set('connected');
    await settle(1_000);
    const [first, second] = wire.sends();
    expect(second).toEqual(first);
    expect(state().unsent).toEqual([]);
  });

  it('that was refused is sent again with the same clientId', async () => {
    const answer = wire.answers;
    wire.answers = (asked) =>
      asked.name === 'message:send'
        ? { ok: false, error: { code: 'rate_limited', detail: 'Too quick.', retryAfter: 7 } }
        : answer(asked);
    const before = Date.now();
    chat.send('hello');
    await settle();
    const [refused] = state().unsent;
    expect(refused).toMatchObject({ status: 'refused', retryAt: before + 7_000 });
    wire.answers = (asked) => (asked.name === 'message:send' ? stored(asked.ask, 2) : answer(asked));
    await chat.resend(refused?.clientId ?? '');
    const [first, second] = wire.sends();
    expect(second).toEqual(first);
    expect(state().unsent).toEqual([]);
  });

  it('that a closed page left behind is offered again, not sent', async () => {
    wire.state.set('offline');
    chat.send('left behind');
    chat.close();
    wire.state.set('connected');
    chat = open();
    await settle();
    expect(wire.sends()).toEqual([]);
    expect(state().unsent).toMatchObject([{ text: 'left behind', status: 'refused' }]);
  });

  it('that was refused says why when one comes back', async () => {
    const answer = wire.answers;
    const error = { code: 'rate_limited', detail: 'Too quick.', retryAfter: 7 };
    wire.answers = (asked) => (asked.name === 'message:send' ? { ok: false, error } : answer(asked));
    chat.send('hello');
    await settle();
    const refused = state().unsent;
    chat.leave(() => undefined);
    chat = open();
    await settle();
    expect(state().unsent).toEqual(refused);
  });

  it('goes on when one looks elsewhere, in order, and then the conversation is left', async () => {
    const release: (() => void)[] = [];
    const answer = wire.answers;
    wire.answers = (asked) =>
      asked.name === 'message:send'
        ? new Promise((resolve) => release.push(() => resolve(stored(asked.ask, 1 + release.length))))
        : answer(asked);
    for (const text of ['one', 'two', 'three']) chat.send(text);
    await settle();
    const onEnd = vi.fn();
    chat.leave(onEnd);
    for (let n = 0; n < 3; n += 1) {
      expect([release.length, onEnd.mock.calls.length]).toEqual([n + 1, 0]);
      release[n]?.();
      await settle();
    }
    expect(wire.sends().map(({ text }) => text)).toEqual(['one', 'two', 'three']);
    expect(onEnd).toHaveBeenCalledOnce();
    expect(wire.asked.at(-1)?.name).toBe('conversation:leave');
    expect(recallUnsent(CONVERSATION)).toEqual([]);
  });

  it('goes on once the connection is back, whichever place one looks at', async () => {
    wire.state.set('offline');
    chat.send('hello');
    const { clientId } = state().unsent[0] ?? {};
    chat.leave(() => undefined);
    chat.open();
    expect(state().unsent).toMatchObject([{ clientId, status: 'waiting' }]);
    chat.leave(() => undefined);
    const answer = wire.answers;
    wire.answers = (asked) => (asked.name === 'message:send' ? stored(asked.ask, 2) : answer(asked));
    wire.state.set('connected');
    await settle(1_000);
    expect(wire.sends()).toMatchObject([{ clientId, text: 'hello' }]);
    expect(state().unsent).toEqual([]);
  });

  it('that the server had stored before the page closed is not offered again', async () => {
    const answer = wire.answers;
    wire.answers = (asked) => (asked.name === 'message:send' ? new Promise(() => undefined) : answer(asked));
    chat.send('stored');
    await settle();
    history = [...history, message(2, { clientId: wire.sends()[0]?.clientId ?? '', text: 'stored' })];
    chat.close();
    chat = open();
    await settle();
    expect(state().unsent).toEqual([]);
    expect(state().messages).toHaveLength(2);
  });
});

describe('the editor of a message', () => {
  const edits = () => chat.store.get().edits;

  it('saves into the variant that it was made of, and into no other', async () => {
    const [calls, [hello]]: [string[], Message[]] = [[], history];
    vi.stubGlobal('fetch', (path: string, { method, body }: { method: string; body: string }) => {
      calls.push(`${method} ${path.split('/messages/')[1]} ${body}`);
      return Promise.resolve(Response.json({}));
    });
    const two = (selected: number, text = 'Hello.') => ({
      ...(hello ?? message(1)),
      text,
      variants: { count: 2, selected },
    });
    const save = (of: Message, now: Message) => {
      chat.beginEdit(of);
      chat.typeEdit('m1', 'Good day.');
      const edit = edits().m1;
      return edit && chat.saveEdit(now, edit);
    };
    await save(two(0), two(0));
    await save(two(0), two(1, 'Another.'));
    await save(two(0), two(0, 'Changed, and shown.'));
    const saved = (was: string) => `PATCH m1 ${JSON.stringify({ text: 'Good day.', was })}`;
    expect(calls).toEqual([
      saved('Hello.'),
      'PUT m1/variant {"selected":0}',
      saved('Hello.'),
      saved('Changed, and shown.'),
    ]);
    expect(edits()).toEqual({});
  });

  it('is open with its text until it is closed, also on a page that is opened again', async () => {
    chat.beginEdit(history[0] ?? message(1));
    chat.typeEdit('m1', 'Good day.');
    chat.close();
    chat = open();
    expect(edits()).toEqual({});
    await settle();
    expect(edits()).toMatchObject({ m1: { text: 'Good day.' } });
    chat.endEdit('m1');
    expect(edits()).toEqual({});
    chat.close();
    chat = open();
    await settle();
    expect(edits()).toEqual({});
  });

  it('gives back what was typed when its message is gone, here or before one came back', async () => {
    const lost: string[] = [];
    const type = () => {
      chat.beginEdit(history[0] ?? message(1));
      chat.typeEdit('m1', 'Good day.');
    };
    type();
    chat.onLost(({ text }) => lost.push(text));
    const payload = { conversationId: CONVERSATION, fromSeq: 1, removals: 1, messageIds: ['m1'] };
    wire.emit({ name: 'message:removed', payload });
    expect([lost, edits()]).toEqual([['Good day.'], {}]);
    chat.close();
    chat = open();
    await settle();
    expect(lost).toHaveLength(1);
    type();
    chat.close();
    history = [];
    chat = open();
    chat.onLost(({ text }) => lost.push(text));
    await settle();
    expect([lost, edits()]).toEqual([['Good day.', 'Good day.'], {}]);
  });

  it('stays open while all is read anew', async () => {
    chat.beginEdit(history[0] ?? message(1));
    chat.typeEdit('m1', 'Good day.');
    wire.answers = () => ({ ok: true, state: 'idle', pending: 0, messages: [], removals: 1 });
    wire.emit({ name: 'conversation:resync', payload: { conversationId: CONVERSATION } });
    await settle(2_000);
    expect(state().removals).toBe(1);
    expect(edits()).toMatchObject({ m1: { text: 'Good day.' } });
  });
});

describe('typing', () => {
  it('is told at its start, now and then, and at its end', async () => {
    chat.setTyping(true);
    chat.setTyping(true);
    expect(wire.told).toEqual([true]);
    await settle(4_500);
    chat.setTyping(true);
    expect(wire.told).toEqual([true, true]);
    await settle(6_000);
    expect(wire.told).toEqual([true, true, false]);
  });
});
