import { describe, expect, it } from 'vitest';
import type { Usage } from '../api/types';
import type { ServerEvent } from '../live/events';
import { CHARACTER, CONVERSATION, Follower, ME, message, Model } from './model';
import { isAnswering, reduceChat, resumeSeq, type ChatState, type Unsent } from './state';

/** Two messages, the second sent while the first is answered; a reply that starts anew; a failure; a stop. */
function eventful(): Model {
  const model = new Model();
  model.send({ role: 'character', text: 'Who goes there?' });
  model.send();
  model.goes('processing', 0);
  model.start('r2', 'm2');
  for (const text of ['The ', 'sea 🌊', ' is']) model.delta('m2', text);
  model.send();
  model.goes('processing', 1);
  model.delta('m2', ' calm.');
  model.start('r2-anew', 'm2');
  for (const text of ['The sea', ' is ', '👩‍🚀 wild.']) model.delta('m2', text);
  model.commit('m2');
  model.goes('queued', 1, 2);
  model.goes('processing', 0);
  model.start('r3', 'm3');
  model.delta('m3', 'I fear');
  model.settle('m3', 'failed');
  model.goes('idle', 0);
  model.settle('m3', 'due');
  model.goes('processing', 0);
  model.start('r3-anew', 'm3');
  model.delta('m3', 'I know.');
  model.commit('m3');
  model.send();
  model.start('r6', 'm6');
  model.settle('m6', 'cancelled');
  model.goes('idle', 0);
  return model;
}

/** One reply, answered anew under its own id; begun once more on another server; failed; stopped; and chosen among. */
function changing(): Model {
  const model = new Model();
  model.send();
  model.start('r', 'm1');
  model.delta('m1', 'First ');
  model.delta('m1', 'words.');
  model.commit('m1');
  model.goes('idle', 0);
  model.redo('m1');
  model.goes('processing', 0);
  model.start('r', 'm1');
  model.delta('m1', 'Second ');
  model.delta('m1', 'words, and more.');
  model.vary('m1');
  model.goes('idle', 0);
  model.choose('r', 0, 'First words.');
  model.revise('r', 'The first words, revised.');
  model.redo('m1');
  model.goes('processing', 0);
  model.start('r', 'm1');
  model.delta('m1', 'Third');
  model.start('r-anew', 'm1');
  model.delta('m1', 'Fourth words.');
  model.vary('m1');
  model.redo('m1');
  model.start('r', 'm1');
  model.delta('m1', 'Fifth');
  model.abandon('m1', 'failed');
  model.redo('m1');
  model.start('r', 'm1');
  model.abandon('m1', 'cancelled');
  model.goes('idle', 0);
  model.send();
  model.start('r3', 'm3');
  model.delta('m3', 'Aye.');
  model.commit('m3');
  model.goes('idle', 0);
  return model;
}

/** The last exchange removed, and written anew; twice, and one that takes an earlier message's reply with it. */
function shrinking(): Model {
  const model = new Model();
  const exchange = (asked: string, reply: string, text: string) => {
    model.send({ id: asked, clientId: asked });
    model.start(reply, asked);
    model.delta(asked, text);
    model.commit(asked);
    model.goes('idle', 0);
  };
  exchange('a', 'ra', 'One.');
  exchange('b', 'rb', 'Two.');
  model.remove();
  exchange('c', 'rc', 'Three.');
  model.remove();
  exchange('d', 'rd', 'Four.');
  model.send({ id: 'e', clientId: 'e' });
  model.send({ id: 'f', clientId: 'f' });
  for (const [reply, asked] of [
    ['re', 'e'],
    ['rf', 'f'],
  ] as const) {
    model.start(reply, asked);
    model.delta(asked, 'Both.');
    model.commit(asked);
  }
  model.goes('idle', 0);
  model.remove();
  return model;
}

function followed(model: Model): Follower {
  const follower = new Follower(model);
  follower.join(0);
  follower.hear(0, model.told.length);
  return follower;
}

const unsent = (clientId: string, more: Partial<Unsent> = {}): Unsent => ({
  clientId,
  text: 'hello',
  createdAt: '2026-11-23T04:38:48.120Z',
  status: 'sending',
  ...more,
});

const event = (state: ChatState, name: ServerEvent['name'], payload: unknown) =>
  reduceChat(state, { type: 'event', event: { name, payload } as ServerEvent });

describe.each([
  ['following a conversation', eventful],
  ['following a reply that is answered anew', changing],
  ['following a conversation whose end is removed', shrinking],
])('%s', (_, told) => {
  const model = told();
  const end = model.told.length;
  const whole = followed(model);

  it('ends with what the server has, without a second join', () => {
    expect(whole.state.messages).toEqual(model.messages);
    expect(whole.state.replies).toEqual([]);
    expect(whole.joins).toBe(1);
    expect(isAnswering(whole.state)).toBe(false);
  });

  it('gives the same as a fresh read after every event', () => {
    const follower = new Follower(model);
    follower.join(0);
    for (let at = 0; at < end; at += 1) {
      follower.hear(at, at + 1);
      const fresh = new Follower(model, at + 1);
      fresh.join(at + 1);
      expect(follower.state.messages, `after ${at + 1} events`).toEqual(fresh.state.messages);
      expect(follower.state.replies, `after ${at + 1} events`).toEqual(fresh.state.replies);
      expect(follower.state.phase).toBe(fresh.state.phase);
    }
  });

  it('is the same wherever it is cut and resumed, with events ahead of the answer or not', () => {
    for (let cut = 0; cut <= end; cut += 1) {
      for (let resumed = cut; resumed <= end; resumed += 1) {
        for (const ahead of [0, 1, 3, end]) {
          const follower = new Follower(model);
          follower.join(0);
          follower.hear(0, cut);
          follower.do({ type: 'disconnected' });
          const until = Math.min(resumed + ahead, end);
          follower.join(resumed, until);
          follower.hear(until, end);
          expect(follower.seen, `cut ${cut}, resumed ${resumed}, ${ahead} ahead`).toEqual(whole.seen);
        }
      }
    }
  });

  it('is the same when any stretch of events is lost on an open connection and a resync tells of it', () => {
    for (let from = 0; from < end; from += 1) {
      for (const lost of [1, 2, 5]) {
        const until = Math.min(from + lost, end);
        const follower = new Follower(model);
        follower.join(0);
        follower.hear(0, from);
        follower.do({
          type: 'event',
          event: { name: 'conversation:resync', payload: { conversationId: CONVERSATION } },
        });
        expect(follower.state.needsSync).toBe(true);
        follower.join(until);
        follower.hear(until, end);
        expect(follower.seen, `${lost} lost from ${from}`).toEqual(whole.seen);
      }
    }
  });

  it('is the same when every event comes twice', () => {
    const follower = new Follower(model);
    follower.join(0);
    for (let at = 0; at < end; at += 1) {
      follower.hear(at, at + 1);
      const { name } = model.told[at] as ServerEvent;
      if (name === 'message:new' || name.startsWith('reply:')) follower.hear(at, at + 1);
    }
    expect(follower.seen).toEqual(whole.seen);
    expect(follower.joins).toBe(1);
  });

  it('is the same for a page that opens at any moment', () => {
    for (let opened = 0; opened <= end; opened += 1) {
      for (let joined = opened; joined <= end; joined += 1) {
        const follower = new Follower(model, opened);
        follower.join(joined);
        follower.hear(joined, end);
        expect(follower.seen, `opened ${opened}, joined ${joined}`).toEqual(whole.seen);
      }
    }
  });
});

describe('the text of a reply under way', () => {
  function streaming(): Follower {
    const model = new Model();
    model.send();
    model.start('r', 'm1');
    model.delta('m1', 'abc');
    return followed(model);
  }
  const delta = (offset: number, text: string, messageId = 'r') => ({
    conversationId: CONVERSATION,
    messageId,
    offset,
    text,
  });
  const text = (state: ChatState) => state.replies[0]?.text;

  it('ignores what it already has and takes the rest of what overlaps', () => {
    const { state } = streaming();
    expect(event(state, 'reply:delta', delta(0, 'abc'))).toBe(state);
    expect(text(event(state, 'reply:delta', delta(1, 'bcde')))).toBe('abcde');
  });

  it('counts offsets in UTF-16 code units', () => {
    let { state } = streaming();
    state = event(state, 'reply:delta', delta(3, '👩‍🚀'));
    state = event(state, 'reply:delta', delta(3 + '👩‍🚀'.length, '!'));
    expect(text(state)).toBe('abc👩‍🚀!');
    expect(state.needsSync).toBe(false);
  });

  it('asks for a new join on a gap and keeps the delta until the text before it is here', () => {
    const { state } = streaming();
    let next = event(state, 'reply:delta', delta(5, 'fg'));
    expect(next.needsSync).toBe(true);
    expect(text(next)).toBe('abc');
    next = reduceChat(next, { type: 'joining' });
    const partial = { messageId: 'r', inReplyTo: 'm1', text: 'abcde' };
    next = reduceChat(next, {
      type: 'joined',
      answer: { ok: true, state: 'processing', pending: 0, messages: [], partial },
    });
    expect(text(next)).toBe('abcdefg');
    expect(next.needsSync).toBe(false);
  });

  it('never grows shorter by an older answer to a join', () => {
    let next = reduceChat(streaming().state, { type: 'joining' });
    const partial = { messageId: 'r', inReplyTo: 'm1', text: 'ab' };
    next = reduceChat(next, {
      type: 'joined',
      answer: { ok: true, state: 'processing', pending: 0, messages: [], partial },
    });
    expect(text(next)).toBe('abc');
  });

  it('is replaced when the reply starts anew, and what is left of the first attempt is dropped', () => {
    let next = event(streaming().state, 'reply:start', {
      conversationId: CONVERSATION,
      messageId: 'r2',
      inReplyTo: 'm1',
    });
    expect(next.replies).toEqual([{ messageId: 'r2', inReplyTo: 'm1', text: '' }]);
    next = event(next, 'reply:delta', delta(3, 'late'));
    next = event(next, 'reply:start', { conversationId: CONVERSATION, messageId: 'r', inReplyTo: 'm1' });
    expect(next.replies).toEqual([{ messageId: 'r2', inReplyTo: 'm1', text: '' }]);
    expect(next.needsSync).toBe(false);
  });

  it('does not bring a stored reply back', () => {
    let next = event(streaming().state, 'message:new', {
      message: message(2, { id: 'r', role: 'character', inReplyTo: 'm1', text: 'abcd' }),
    });
    next = event(next, 'reply:delta', delta(3, 'd'));
    expect(next.replies).toEqual([]);
    expect(next.messages.at(-1)?.text).toBe('abcd');
    expect(next.messages[0]?.replyState).toBe('done');
  });

  it('asks for a new join when a reply streams whose start was lost', () => {
    expect(event(streaming().state, 'reply:delta', delta(0, 'x', 'unknown')).needsSync).toBe(true);
  });

  it('holds no more early deltas than it can replay', () => {
    let state = reduceChat(streaming().state, { type: 'joining' });
    for (let at = 0; at < 2_000; at += 1) state = event(state, 'reply:delta', delta(10 + at, 'x', 'unknown'));
    expect(state.early.length).toBeLessThanOrEqual(500);
    expect(state.needsSync).toBe(true);
  });

  it('shows why it failed, until it is tried again', () => {
    const error = { code: 'unavailable', detail: 'No model.' };
    let next = event(streaming().state, 'reply:error', {
      conversationId: CONVERSATION,
      messageId: 'r',
      inReplyTo: 'm1',
      error,
    });
    expect(next.failures).toEqual({ m1: error });
    expect(next.messages[0]?.replyState).toBe('failed');
    expect(isAnswering(next)).toBe(false);
    next = event(next, 'message:updated', { message: message(1, { replyState: 'due' }) });
    expect(next.failures).toEqual({});
  });
});

describe('messages', () => {
  it('are ordered by seq however they come, and a gap asks for a new join', () => {
    const model = new Model();
    for (let n = 0; n < 4; n += 1) model.send();
    const follower = new Follower(model);
    follower.join(0);
    const { state } = follower;
    let next = event(state, 'message:new', { message: message(1) });
    next = event(next, 'message:new', { message: message(3) });
    expect(next.needsSync).toBe(true);
    expect(resumeSeq(next)).toBe(0);
    next = event(next, 'message:new', { message: message(2) });
    expect(next.messages.map(({ seq }) => seq)).toEqual([1, 2, 3]);
  });

  it('are resumed from before the first whose outcome is unknown', () => {
    const model = new Model();
    model.send({ replyState: 'done' });
    model.send();
    model.send({ replyState: 'done' });
    expect(resumeSeq(followed(model).state)).toBe(1);
  });

  it('that were missed by the hundreds are caught up with, page by page', () => {
    const model = new Model();
    model.send();
    for (let n = 0; n < 750; n += 1) model.send({ role: 'character', text: 'and so on' });
    const follower = new Follower(model, 1);
    follower.join(model.told.length);
    expect(follower.state.messages).toEqual(model.messages);
    expect(follower.joins).toBe(4);
    expect(follower.state.needsSync).toBe(false);
  });

  it('of an earlier page come before the others and change none', () => {
    const model = new Model();
    for (let n = 0; n < 6; n += 1) model.send({ replyState: 'done' });
    const follower = new Follower(new Model());
    const page = (from: number, to: number) => model.messages.slice(from, to);
    follower.do({ type: 'history', messages: page(3, 6), hasMore: true });
    follower.do({
      type: 'history',
      messages: page(0, 4).map((one) => ({ ...one, text: `older ${one.text}` })),
      hasMore: false,
    });
    expect(follower.state.messages.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(follower.state.messages[3]?.text).toBe('text 4');
    expect(follower.state.hasEarlier).toBe(false);
  });

  it('of another conversation change nothing', () => {
    const { state } = followed(new Model());
    expect(event(state, 'message:new', { message: message(1, { conversationId: 'other' }) })).toBe(state);
    const line = { conversationId: 'other', state: 'queued', pending: 9 };
    expect(event(state, 'conversation:state', line)).toBe(state);
  });
});

describe("messages of one's own", () => {
  it('wait, are sent, and give way to what the server stored, whichever tells it first', () => {
    for (const first of ['event', 'answer'] as const) {
      const follower = followed(new Model());
      follower.do({ type: 'typed', unsent: unsent('k1', { status: 'waiting' }) });
      follower.do({ type: 'sending', clientId: 'k1' });
      expect(follower.state.unsent[0]?.status).toBe('sending');
      const stored = message(1);
      const told = { type: 'event', event: { name: 'message:new', payload: { message: stored } } } as const;
      const answered = { type: 'sent', message: stored, usage: undefined } as const;
      for (const action of first === 'event' ? [told, answered] : [answered, told]) follower.do(action);
      expect(follower.state.unsent).toEqual([]);
      expect(follower.state.messages).toEqual([stored]);
    }
  });

  it('keep their clientId when they are refused and tried again', () => {
    const follower = followed(new Model());
    follower.do({ type: 'typed', unsent: unsent('k1') });
    follower.do({
      type: 'refused',
      clientId: 'k1',
      error: { code: 'rate_limited', detail: 'Too quick.', retryAfter: 21 },
    });
    expect(follower.state.unsent[0]).toMatchObject({
      clientId: 'k1',
      status: 'refused',
      error: { retryAfter: 21 },
    });
    follower.do({ type: 'sending', clientId: 'k1' });
    expect(follower.state.unsent).toEqual([unsent('k1')]);
    follower.do({ type: 'discarded', clientId: 'k1' });
    expect(follower.state.unsent).toEqual([]);
  });

  it('that were stored before the page closed do not come back with it', () => {
    const model = new Model();
    model.send({ clientId: 'stored' });
    const follower = followed(model);
    follower.do({ type: 'restored', unsent: [unsent('stored'), unsent('lost'), unsent('lost')] });
    expect(follower.state.unsent.map(({ clientId }) => clientId)).toEqual(['lost']);
  });

  it('are not taken for stored by the clientId of someone else', () => {
    const follower = followed(new Model());
    follower.do({ type: 'typed', unsent: unsent('k1') });
    follower.do({
      type: 'event',
      event: { name: 'message:new', payload: { message: message(1, { senderId: 'u2' }) } },
    });
    expect(follower.state.unsent).toHaveLength(1);
  });
});

describe('what stands beside the messages', () => {
  const usage: Usage = {
    text: { used: 3, limit: 30, remaining: 27 },
    audio: { used: 0, limit: 5, remaining: 5 },
    image: { used: 0, limit: 5, remaining: 5 },
    resetsAt: '2026-11-24T04:38:48.120Z',
  };

  it('follows the usage of this character alone', () => {
    const { state } = followed(new Model());
    expect(event(state, 'usage:updated', { characterId: 'someone', ...usage })).toBe(state);
    expect(event(state, 'usage:updated', { characterId: CHARACTER, ...usage }).usage).toEqual(usage);
  });

  it('follows who types, and forgets it when the connection is lost', () => {
    let { state } = followed(new Model());
    state = event(state, 'typing', { conversationId: CONVERSATION, userId: 'u2', typing: true });
    state = event(state, 'typing', { conversationId: CONVERSATION, userId: ME, typing: true });
    state = event(state, 'typing', { conversationId: CONVERSATION, userId: 'u2', typing: false });
    expect(state.typists).toEqual([ME]);
    expect(reduceChat(state, { type: 'disconnected' }).typists).toEqual([]);
  });

  it('follows the line, and an answer to a join that is older than an event changes nothing of it', () => {
    let { state } = followed(new Model());
    state = reduceChat(state, { type: 'joining' });
    const line = { conversationId: CONVERSATION, state: 'queued', pending: 2, position: 1 };
    state = event(state, 'conversation:state', line);
    state = reduceChat(state, {
      type: 'joined',
      answer: { ok: true, state: 'idle', pending: 0, messages: [] },
    });
    expect(state).toMatchObject({ phase: 'queued', pending: 2, position: 1 });
    state = event(state, 'conversation:state', {
      conversationId: CONVERSATION,
      state: 'processing',
      pending: 1,
    });
    expect(state.position).toBeUndefined();
  });

  it('joins again after a resync that came while a join was under way, or after a join that failed', () => {
    let { state } = followed(new Model());
    state = reduceChat(state, { type: 'joining' });
    state = event(state, 'conversation:resync', { conversationId: CONVERSATION });
    expect(state.needsSync).toBe(false);
    state = reduceChat(state, {
      type: 'joined',
      answer: { ok: true, state: 'idle', pending: 0, messages: [] },
    });
    expect(state.needsSync).toBe(true);
    state = reduceChat(reduceChat(state, { type: 'joining' }), { type: 'join failed' });
    expect(state).toMatchObject({ needsSync: true, joining: false });
  });
});
