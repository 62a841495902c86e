/**
 * A conversation as the server has it, for tests: steps that change it, the event that each step tells, and the
 * answer that a join gets at any point between them.
 */
import type { Message, Phase } from '../api/types';
import type { Joined, ReplyUnderWay, ServerEvent } from '../live/events';
import { emptyChat, reduceChat, resumeSeq, type ChatAction, type ChatState } from './state';

export const CONVERSATION = 'c1';
export const CHARACTER = 'mara';
export const ME = 'u1';

export function message(seq: number, more: Partial<Message> = {}): Message {
  const role = more.role ?? 'user';
  return {
    id: `m${seq}`,
    conversationId: CONVERSATION,
    seq,
    role,
    senderId: role === 'user' ? ME : CHARACTER,
    type: 'text',
    text: `text ${seq}`,
    createdAt: '2026-11-23T04:38:48.120Z',
    ...(role === 'user' ? { clientId: `k${seq}`, replyState: 'due' as const } : {}),
    ...more,
  };
}

/** The server's side: what is stored, what streams, and every event in the order it was told. */
export class Model {
  messages: Message[] = [];
  streams = new Map<string, ReplyUnderWay>();
  removals = 0;
  line: { state: Phase; pending: number; position?: number } = { state: 'idle', pending: 0 };
  readonly told: ServerEvent[] = [];
  readonly #answers: ((afterSeq: number) => Joined)[] = [];

  constructor() {
    this.#remember();
  }

  /** The answer to a join that came after `count` events. */
  answer(count: number, afterSeq: number): Joined {
    const at = this.#answers[count];
    if (at === undefined) throw new Error(`only ${this.told.length} events were told`);
    return at(afterSeq);
  }

  send(more: Partial<Message> = {}): Message {
    const sent = message(this.messages.length + 1, more);
    this.messages.push(sent);
    this.#tell({ name: 'message:new', payload: { message: sent } });
    return sent;
  }

  start(messageId: string, inReplyTo: string): void {
    this.streams.set(inReplyTo, { messageId, inReplyTo, text: '' });
    this.#tell({ name: 'reply:start', payload: { conversationId: CONVERSATION, messageId, inReplyTo } });
    this.types(true);
  }

  delta(inReplyTo: string, text: string): void {
    const stream = this.streams.get(inReplyTo);
    if (stream === undefined) throw new Error(`nothing streams for ${inReplyTo}`);
    this.streams.set(inReplyTo, { ...stream, text: stream.text + text });
    const { messageId } = stream;
    const payload = { conversationId: CONVERSATION, messageId, offset: stream.text.length, text };
    this.#tell({ name: 'reply:delta', payload });
  }

  commit(inReplyTo: string): void {
    const stream = this.streams.get(inReplyTo);
    if (stream === undefined) throw new Error(`nothing streams for ${inReplyTo}`);
    this.streams.delete(inReplyTo);
    const { messageId: id, text } = stream;
    this.messages = this.messages.map((one) => (one.id === inReplyTo ? { ...one, replyState: 'done' } : one));
    const reply = message(this.messages.length + 1, { id, role: 'character', inReplyTo, text });
    this.messages.push(reply);
    this.#tell({ name: 'message:new', payload: { message: reply } });
    this.types(false);
  }

  /** Asks for another variant of the reply. */
  redo(asked: string): void {
    this.messages = this.messages.map((one) => (one.id === asked ? { ...one, replyState: 'due' } : one));
    this.#tell({ name: 'message:updated', payload: { message: this.#stored(asked) } });
  }

  /** What streamed is another variant of the reply that is there. */
  vary(inReplyTo: string): void {
    const stream = this.streams.get(inReplyTo);
    const reply = this.messages.find((one) => one.inReplyTo === inReplyTo);
    if (stream === undefined || reply === undefined) throw new Error(`nothing streams for ${inReplyTo}`);
    this.streams.delete(inReplyTo);
    const count = (reply.variants?.count ?? 1) + 1;
    const anew: Message = { ...reply, text: stream.text, variants: { count, selected: count - 1 } };
    this.messages = this.messages.map((one) => {
      if (one.id === inReplyTo) return { ...one, replyState: 'done' };
      return one.id === reply.id ? anew : one;
    });
    this.#tell({ name: 'message:updated', payload: { message: anew } });
    this.#tell({ name: 'message:updated', payload: { message: this.#stored(inReplyTo) } });
    this.types(false);
  }

  /** An answer anew that fails, or is stopped before it says anything: the reply stays. */
  abandon(inReplyTo: string, how: 'failed' | 'cancelled'): void {
    const stream = this.streams.get(inReplyTo);
    this.streams.delete(inReplyTo);
    this.messages = this.messages.map((one) => (one.id === inReplyTo ? { ...one, replyState: 'done' } : one));
    if (how === 'failed' && stream !== undefined) {
      const error = { code: 'unavailable' as const, detail: 'The model does not answer.' };
      const { messageId } = stream;
      this.#tell({
        name: 'reply:error',
        payload: { conversationId: CONVERSATION, messageId, inReplyTo, error },
      });
    }
    this.#tell({ name: 'message:updated', payload: { message: this.#stored(inReplyTo) } });
    this.types(false);
  }

  choose(reply: string, selected: number, text: string): void {
    this.messages = this.messages.map((one) => {
      if (one.id !== reply || !one.variants) return one;
      return { ...one, text, variants: { ...one.variants, selected } };
    });
    this.#tell({ name: 'message:updated', payload: { message: this.#stored(reply) } });
  }

  /** Puts a reply, of several the chosen variant, in other words. */
  revise(reply: string, text: string): void {
    this.messages = this.messages.map((one) => (one.id === reply ? { ...one, text } : one));
    this.#tell({ name: 'message:updated', payload: { message: this.#stored(reply) } });
  }

  /** Removes the last message of a person with all after it. */
  remove(): void {
    const fromSeq = this.messages.findLast((one) => one.role === 'user')?.seq ?? 1;
    const messageIds = this.messages.filter((one) => one.seq >= fromSeq).map((one) => one.id);
    const lost = this.messages.filter((one) => one.seq > fromSeq).map((one) => one.inReplyTo);
    this.messages = this.messages.filter((one) => one.seq < fromSeq);
    this.removals += 1;
    const payload = { conversationId: CONVERSATION, fromSeq, removals: this.removals, messageIds };
    this.#tell({ name: 'message:removed', payload });
    for (const { id } of this.messages.filter((one) => lost.includes(one.id))) {
      this.messages = this.messages.map((one) => (one.id === id ? { ...one, replyState: 'cancelled' } : one));
      this.#tell({ name: 'message:updated', payload: { message: this.#stored(id) } });
    }
  }

  #stored(id: string): Message {
    const stored = this.messages.find((one) => one.id === id);
    if (stored === undefined) throw new Error(`there is no message ${id}`);
    return stored;
  }

  settle(inReplyTo: string, replyState: 'failed' | 'cancelled' | 'due'): void {
    const stream = this.streams.get(inReplyTo);
    this.streams.delete(inReplyTo);
    this.messages = this.messages.map((one) => (one.id === inReplyTo ? { ...one, replyState } : one));
    const settled = this.messages.find((one) => one.id === inReplyTo);
    if (settled === undefined) throw new Error(`there is no message ${inReplyTo}`);
    if (replyState === 'failed' && stream !== undefined) {
      const error = { code: 'unavailable' as const, detail: 'The model does not answer.' };
      const { messageId } = stream;
      this.#tell({
        name: 'reply:error',
        payload: { conversationId: CONVERSATION, messageId, inReplyTo, error },
      });
    }
    this.#tell({ name: 'message:updated', payload: { message: settled } });
    if (stream !== undefined) this.types(false);
  }

  goes(state: Phase, pending: number, position?: number): void {
    this.line = position === undefined ? { state, pending } : { state, pending, position };
    this.#tell({ name: 'conversation:state', payload: { conversationId: CONVERSATION, ...this.line } });
  }

  types(typing: boolean): void {
    this.#tell({ name: 'typing', payload: { conversationId: CONVERSATION, characterId: CHARACTER, typing } });
  }

  #tell(event: ServerEvent): void {
    this.told.push(event);
    this.#remember();
  }

  #remember(): void {
    const { messages, line, removals } = this;
    const stored = [...messages];
    const partial = [...this.streams.values()].at(-1);
    this.#answers[this.told.length] = (afterSeq) => {
      const missed = stored.filter((one) => one.seq > afterSeq);
      const answer: Joined = {
        ok: true,
        ...line,
        messages: missed.slice(0, 200),
        hasMore: missed.length > 200,
        removals,
      };
      return partial === undefined ? answer : { ...answer, partial };
    };
  }
}

/** A page that follows a model: it joins when it must, as the real one does. */
export class Follower {
  state: ChatState = emptyChat(CONVERSATION, CHARACTER, ME);
  joins = 0;
  readonly model: Model;

  constructor(model: Model, loadedAt = 0) {
    this.model = model;
    const { messages, removals } = model.answer(loadedAt, 0);
    this.state = emptyChat(CONVERSATION, CHARACTER, ME, removals);
    this.do({ type: 'history', messages, hasMore: false });
  }

  do(action: ChatAction): void {
    this.state = reduceChat(this.state, action);
  }

  /** Joins after `count` events; the events before `until` arrive ahead of the answer. */
  join(count: number, until = count): void {
    this.joins += 1;
    this.do({ type: 'joining' });
    const answer = this.model.answer(count, resumeSeq(this.state));
    this.hear(count, until);
    this.do({ type: 'joined', answer });
    if (this.state.needsReload) {
      this.do({ type: 'anew', messages: this.model.answer(until, 0).messages, hasMore: false });
      this.join(until);
    }
    while (this.state.needsSync) this.join(until);
  }

  hear(from: number, until: number): void {
    for (let at = from; at < until; at += 1) {
      const event = this.model.told[at];
      if (event !== undefined) this.do({ type: 'event', event });
      if (this.state.needsSync && !this.state.joining) this.join(at + 1);
    }
  }

  /** What a person sees: everything but the bookkeeping of the connection. */
  get seen() {
    const { messages, replies, unsent, phase, pending, position, characterTypes, usage } = this.state;
    return { messages, replies, unsent, phase, pending, position, characterTypes, usage };
  }
}
