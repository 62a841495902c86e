/**
 * What the page knows of one conversation, as one pure function from state and action to state. It folds history,
 * the answer to a join and the socket's events; each may come twice, late, or before the join is answered.
 *
 * The rules it keeps: messages are ordered by `seq`; a message or a delta that is already here changes nothing; what
 * cannot be placed (a gap) asks for a new join by `needsSync`. Reading the conversation anew at any moment gives the
 * same state as having followed every event.
 */
import type { Message, Phase, Usage } from '../api/types';
import type { EventError, Joined, ReplyUnderWay, ReplyDelta, ServerEvent } from '../live/events';

/** A message of one's own that the server has not yet confirmed. */
export interface Unsent {
  /** The same at every attempt, so that the server stores the message once. */
  clientId: string;
  text: string;
  /** The picture or voice message that goes with it. */
  upload?: { id: string; kind: 'image' | 'audio' };
  createdAt: string;
  status: 'waiting' | 'sending' | 'refused';
  error?: EventError;
  /** Epoch milliseconds before which the server would refuse it again. */
  retryAt?: number;
}

export interface ChatState {
  readonly conversationId: string;
  readonly characterId: string;
  /** The one who looks at this. */
  readonly userId: string;
  /** Whether the newest page of history has come. */
  readonly loaded: boolean;
  /** Ordered by `seq`. A gap is possible for as long as `needsSync` or `joining` says so. */
  readonly messages: readonly Message[];
  readonly hasEarlier: boolean;
  /** Replies under way, one for each answered message. */
  readonly replies: readonly ReplyUnderWay[];
  /** Why the reply to a message failed, by that message's id. */
  readonly failures: Readonly<Record<string, EventError>>;
  readonly unsent: readonly Unsent[];
  readonly phase: Phase;
  readonly pending: number;
  readonly position: number | undefined;
  readonly characterTypes: boolean;
  /** Users who type, this one on another device included. */
  readonly typists: readonly string[];
  readonly usage: Usage | undefined;
  readonly joined: boolean;
  readonly joining: boolean;
  /** Something is missing: join again, from `resumeSeq`. */
  readonly needsSync: boolean;
  /** The last answer to a join was cut short. */
  readonly catchingUp: boolean;
  /** Replies that were replaced or ended; what still comes of them is dropped. */
  readonly retired: readonly string[];
  /** Deltas that came ahead of what they continue. */
  readonly early: readonly ReplyDelta[];
  /** How often the end of the conversation was removed, as far as this page knows. */
  readonly removals: number | undefined;
  /** What was removed: it may still come with an answer that was read before. */
  readonly gone: readonly string[];
  /** The end was removed while this page was away: what is here counts no more. */
  readonly needsReload: boolean;
  /** What events told since the join was asked for, and its answer may be too old to know. */
  readonly fresh: { readonly ids: readonly string[]; readonly line: boolean; readonly resync: boolean };
}

export type ChatAction =
  | { type: 'history'; messages: readonly Message[]; hasMore: boolean }
  /** The newest page, in the place of all that was here. */
  | { type: 'anew'; messages: readonly Message[]; hasMore: boolean }
  | { type: 'joining' }
  | { type: 'joined'; answer: Joined }
  | { type: 'join failed' }
  | { type: 'disconnected' }
  | { type: 'event'; event: ServerEvent }
  | { type: 'typed'; unsent: Unsent }
  | { type: 'restored'; unsent: readonly Unsent[] }
  | { type: 'sending'; clientId: string }
  | { type: 'sent'; message: Message; usage: Usage | undefined }
  | { type: 'refused'; clientId: string; error: EventError; retryAt?: number }
  | { type: 'discarded'; clientId: string };

const NOTHING_FRESH: ChatState['fresh'] = { ids: [], line: false, resync: false };
const MAX_EARLY = 500;
const MAX_RETIRED = 50;
const MAX_GONE = 500;

export function emptyChat(
  conversationId: string,
  characterId: string,
  userId: string,
  removals?: number,
): ChatState {
  return {
    conversationId,
    characterId,
    userId,
    loaded: false,
    messages: [],
    hasEarlier: false,
    replies: [],
    failures: {},
    unsent: [],
    phase: 'idle',
    pending: 0,
    position: undefined,
    characterTypes: false,
    typists: [],
    usage: undefined,
    joined: false,
    joining: false,
    needsSync: false,
    catchingUp: false,
    retired: [],
    early: [],
    removals,
    gone: [],
    needsReload: false,
    fresh: NOTHING_FRESH,
  };
}

export function reduceChat(state: ChatState, action: ChatAction): ChatState {
  switch (action.type) {
    case 'history':
      return onHistory(state, action.messages, action.hasMore);
    case 'anew':
      return onHistory(
        {
          ...state,
          messages: [],
          replies: [],
          failures: {},
          early: [],
          joined: false,
          joining: false,
          needsSync: false,
          needsReload: false,
          catchingUp: false,
        },
        action.messages,
        action.hasMore,
      );
    case 'joining':
      return { ...state, joining: true, needsSync: false, fresh: NOTHING_FRESH };
    case 'joined':
      return onJoined(state, action.answer);
    case 'join failed':
      return { ...state, joining: false, needsSync: true };
    case 'disconnected':
      return {
        ...state,
        joined: false,
        joining: false,
        needsSync: false,
        typists: [],
        early: [],
        characterTypes: false,
      };
    case 'event':
      return onEvent(state, action.event);
    case 'typed':
      return { ...state, unsent: [...state.unsent, action.unsent] };
    case 'restored':
      return { ...state, unsent: unconfirmed([...state.unsent, ...action.unsent], state) };
    case 'sending':
      return withUnsent(state, action.clientId, ({ error: _, retryAt: __, ...unsent }) => ({
        ...unsent,
        status: 'sending',
      }));
    case 'sent':
      return withUsage(addMessages(state, [action.message], 'event'), action.usage);
    case 'refused':
      return withUnsent(state, action.clientId, (unsent) => {
        const refused: Unsent = { ...unsent, status: 'refused', error: action.error };
        return action.retryAt === undefined ? refused : { ...refused, retryAt: action.retryAt };
      });
    case 'discarded':
      return { ...state, unsent: state.unsent.filter((unsent) => unsent.clientId !== action.clientId) };
  }
}

/** How far back a message without an answer is read again; its person may have tried again elsewhere. */
const UNANSWERED_REACH = 100;

/**
 * The `afterSeq` of the next join: the last message without a gap before it, or the one before the first message
 * whose reply is not stored, since that may have been decided while this page was away. The last exchange is read again
 * in any case: what was said last can be changed.
 */
export function resumeSeq(state: ChatState): number {
  const first = state.messages[0];
  if (first === undefined) return 0;
  let last = first.seq - 1;
  for (const message of state.messages) {
    if (message.seq !== last + 1) break;
    last = message.seq;
  }
  if (state.catchingUp) return last;
  const open = state.messages.find(({ replyState, seq }) => {
    return replyState === 'due' || (seq > last - UNANSWERED_REACH && replyState && replyState !== 'done');
  });
  const asked = state.messages.findLast(({ role }) => role === 'user');
  return Math.min(last, (open ?? asked ?? { seq: Infinity }).seq - 1, (asked?.seq ?? Infinity) - 1);
}

/**
 * The last reply and the message that it answers, where nothing was said after them nor is about to be: they can be changed.
 */
export function lastExchange(state: ChatState): { asked: Message; reply: Message | undefined } | undefined {
  const last = state.messages.at(-1);
  if (last === undefined || state.unsent.some(({ status }) => status !== 'refused')) return undefined;
  if (last.role === 'user') return { asked: last, reply: undefined };
  const asked = state.messages.find((message) => message.id === last.inReplyTo);
  return asked === undefined ? undefined : { asked, reply: last };
}

/** Whether the character is at work on a reply here. */
export function isAnswering(state: ChatState): boolean {
  return state.replies.length > 0 || state.characterTypes || state.phase === 'processing';
}

function onHistory(state: ChatState, messages: readonly Message[], hasMore: boolean): ChatState {
  const known = new Set(state.messages.map((message) => message.id));
  const added = addMessages(
    state,
    messages.filter((message) => !known.has(message.id)),
    'history',
  );
  return { ...added, loaded: true, hasEarlier: hasMore };
}

function onJoined(state: ChatState, answer: Joined): ChatState {
  // A removal that came as an event meanwhile is newer than the answer.
  const removals = Math.max(state.removals ?? 0, answer.removals ?? 0);
  if (state.removals !== undefined && removals > state.removals) {
    return {
      ...state,
      removals,
      joined: false,
      joining: false,
      needsReload: true,
      fresh: NOTHING_FRESH,
    };
  }
  let next = addMessages(state, answer.messages, 'answer');
  next = { ...next, joined: true, joining: false, removals };
  if (!state.fresh.line) {
    next = withLine(next, answer);
  }
  const partial = answer.partial ?? undefined;
  // It was read before the reply was stored that is answered anew by now, under the same id.
  const isPast =
    partial !== undefined &&
    replyTo(state, partial.inReplyTo)?.id === partial.messageId &&
    answer.messages.some((one) => one.id === partial.inReplyTo) &&
    !answer.messages.some((one) => one.id === partial.messageId);
  if (partial !== undefined && !isPast) {
    next = takePartial(next, partial, state.fresh.ids);
  } else if (partial === undefined && answer.state === 'idle') {
    next = {
      ...next,
      replies: next.replies.filter((reply) => state.fresh.ids.includes(streamed(reply.messageId))),
    };
  }
  const early = next.early;
  next = { ...next, early: [], characterTypes: next.replies.length > 0 };
  for (const delta of early) next = onDelta(next, delta);
  const catchingUp = answer.hasMore === true;
  return {
    ...next,
    early: [],
    fresh: NOTHING_FRESH,
    catchingUp,
    needsSync: catchingUp || state.fresh.resync || hasGap(next.messages),
  };
}

/** The reply under way as the join's answer knows it; events that came meanwhile know better. */
function takePartial(state: ChatState, partial: ReplyUnderWay, fresh: readonly string[]): ChatState {
  if (isEnded(state, partial.messageId) || isAnswered(state, partial.inReplyTo)) return state;
  if (fresh.includes(partial.inReplyTo)) {
    const settled = state.messages.find((message) => message.id === partial.inReplyTo)?.replyState;
    if (settled === 'failed' || settled === 'cancelled') return retire(state, partial.messageId);
  }
  const known = state.replies.find((reply) => reply.inReplyTo === partial.inReplyTo);
  if (known?.messageId === partial.messageId) {
    return partial.text.length > known.text.length ? withReply(state, partial) : state;
  }
  if (known !== undefined && fresh.includes(streamed(known.messageId)))
    return retire(state, partial.messageId);
  return withReplyState(withReply(state, partial), partial.inReplyTo, 'due');
}

function onEvent(state: ChatState, event: ServerEvent): ChatState {
  const { payload } = event;
  if ('conversationId' in payload && payload.conversationId !== state.conversationId) return state;
  switch (event.name) {
    case 'message:new':
    case 'message:updated': {
      const { message } = event.payload;
      if (message.conversationId !== state.conversationId) return state;
      return event.name === 'message:new'
        ? addMessages(state, [message], 'event')
        : updateMessage(state, message);
    }
    case 'message:removed':
      return onRemoved(state, event.payload);
    case 'reply:start':
      return onReplyStart(state, event.payload);
    case 'reply:delta':
      return onDelta(state, event.payload);
    case 'reply:error': {
      const { messageId, inReplyTo, error } = event.payload;
      if (isEnded(state, messageId)) return state;
      const ended = {
        ...endReplies(state, inReplyTo, messageId),
        failures: { ...state.failures, [inReplyTo]: error },
      };
      // One that was to be answered anew has its reply still.
      return note(
        withReplyState(ended, inReplyTo, replyTo(state, inReplyTo) === undefined ? 'failed' : 'done'),
        inReplyTo,
      );
    }
    case 'conversation:resync':
      return state.joining
        ? { ...state, fresh: { ...state.fresh, resync: true } }
        : { ...state, needsSync: true };
    case 'conversation:state':
      return { ...withLine(state, event.payload), fresh: { ...state.fresh, line: true } };
    case 'typing': {
      const { userId, characterId, typing } = event.payload;
      if (characterId !== undefined) return { ...state, characterTypes: typing };
      if (userId === undefined) return state;
      const others = state.typists.filter((typist) => typist !== userId);
      return { ...state, typists: typing ? [...others, userId] : others };
    }
    case 'conversation:updated': {
      const { id, memberIds } = event.payload.conversation;
      if (id !== state.conversationId) return state;
      // Who left types no more.
      const typists = state.typists.filter((typist) => memberIds.includes(typist));
      return typists.length === state.typists.length ? state : { ...state, typists };
    }
    case 'conversation:added':
    case 'conversation:removed':
    case 'upload:updated':
    case 'conversation:activity':
    case 'conversation:read':
    case 'gallery:updated':
    case 'draft:updated':
    case 'preferences:updated':
      return state;
    case 'usage:updated':
      return event.payload.characterId === state.characterId ? withUsage(state, event.payload) : state;
  }
}

function onRemoved(
  state: ChatState,
  { removals, messageIds }: { removals: number; messageIds: string[] },
): ChatState {
  const known = state.removals;
  if (known !== undefined && removals <= known) return state;
  // One before it was missed: the answer to a join tells so.
  if (known !== undefined && removals > known + 1) return { ...state, needsSync: true };
  const removed = new Set(messageIds);
  const gone = [...state.gone, ...messageIds].slice(-MAX_GONE);
  return {
    ...state,
    removals,
    gone,
    messages: state.messages.filter((message) => !removed.has(message.id)),
    replies: state.replies.filter((reply) => !removed.has(reply.inReplyTo)),
    failures: Object.fromEntries(Object.entries(state.failures).filter(([id]) => !removed.has(id))),
  };
}

function onReplyStart(state: ChatState, start: { messageId: string; inReplyTo: string }): ChatState {
  const { messageId, inReplyTo } = start;
  if (isEnded(state, messageId) || state.replies.some((reply) => reply.messageId === messageId)) return state;
  const { [inReplyTo]: _, ...failures } = state.failures;
  const begun = withReply({ ...state, failures }, { messageId, inReplyTo, text: '' });
  return note(withReplyState(begun, inReplyTo, 'due'), streamed(messageId));
}

function onDelta(state: ChatState, delta: ReplyDelta): ChatState {
  if (isEnded(state, delta.messageId)) return state;
  const reply = state.replies.find((one) => one.messageId === delta.messageId);
  if (reply === undefined || delta.offset > reply.text.length) {
    if (state.early.length >= MAX_EARLY) return { ...state, early: [], needsSync: true };
    return { ...state, early: [...state.early, delta], needsSync: state.needsSync || !state.joining };
  }
  const added = delta.text.slice(reply.text.length - delta.offset);
  if (added === '') return state;
  const grown = { ...reply, text: reply.text + added };
  return { ...state, replies: state.replies.map((one) => (one === reply ? grown : one)) };
}

/**
 * Puts messages in their place. A copy that an event brought is the newest there is. One from a join's answer
 * replaces what is here, unless an event came while the answer was under way. One from history only fills.
 */
function addMessages(
  state: ChatState,
  brings: readonly Message[],
  from: 'event' | 'answer' | 'history',
): ChatState {
  const messages = brings.filter((message) => !state.gone.includes(message.id));
  if (messages.length === 0) return state;
  const byId = new Map(state.messages.map((message) => [message.id, message]));
  const before = new Set(byId.keys());
  const brought = new Map(messages.map((message) => [message.id, message]));
  const taken = new Set<string>();
  for (const message of messages) {
    const isKnown = byId.has(message.id);
    const replaces = from === 'answer' && !state.fresh.ids.includes(message.id);
    if (!isKnown || replaces) {
      byId.set(message.id, message);
      taken.add(message.id);
    }
  }
  let next: ChatState = { ...state, messages: [...byId.values()].sort((a, b) => a.seq - b.seq) };
  next = { ...next, unsent: unconfirmed(next.unsent, next) };
  for (const { id, inReplyTo } of messages) {
    if (from === 'event') next = note(next, id);
    // A message that is due beside its reply is being answered anew; of one that came before its reply, that is the past.
    const isAnew = before.has(id) || brought.get(inReplyTo ?? '')?.replyState === 'due';
    if (inReplyTo && !(isAnew && isDue(next, inReplyTo)))
      next = withReplyState(endReplies(next, inReplyTo, id), inReplyTo, 'done');
    const reply = replyTo(next, id);
    if (reply !== undefined && taken.has(id)) {
      const isNewer = !brought.has(reply.id) || (from === 'answer' && state.fresh.ids.includes(reply.id));
      next = isNewer ? withReplyState(next, id, 'done') : reopened(next, id);
    }
    next = dropSettled(next, id);
  }
  if (from === 'event' && !state.joining && state.loaded && hasGap(next.messages))
    next = { ...next, needsSync: true };
  return next;
}

function updateMessage(state: ChatState, message: Message): ChatState {
  const first = state.messages[0];
  if (!state.messages.some((one) => one.id === message.id)) {
    // Newer than what is here: its `message:new` was lost, or comes with the answer to a join. Older: not yet read.
    return first === undefined || message.seq > first.seq ? addMessages(state, [message], 'event') : state;
  }
  const messages = state.messages.map((one) => (one.id === message.id ? message : one));
  const next = dropSettled(reopened(note({ ...state, messages }, message.id), message.id), message.id);
  // Another variant is stored: what it streamed as is over.
  const { inReplyTo } = message;
  return inReplyTo ? note(withReplyState(endReplies(next, inReplyTo), inReplyTo, 'done'), inReplyTo) : next;
}

/** A message that is due again beside its reply: the reply may stream anew under its own id. */
function reopened(state: ChatState, id: string): ChatState {
  const reply = isDue(state, id) ? replyTo(state, id) : undefined;
  if (reply === undefined || state.replies.some((one) => one.inReplyTo === id)) return state;
  return { ...state, retired: state.retired.filter((retired) => retired !== reply.id) };
}

/**
 * A message whose reply failed or was stopped has none under way, nor has one that has its reply; one that is due again
 * did not fail.
 */
function dropSettled(state: ChatState, id: string): ChatState {
  const replyState = state.messages.find((message) => message.id === id)?.replyState;
  if (replyState === 'failed' || replyState === 'cancelled') return endReplies(state, id);
  if (replyState === 'done' && replyTo(state, id) !== undefined) return endReplies(state, id);
  if (replyState === 'due' && id in state.failures) {
    const { [id]: _, ...failures } = state.failures;
    return { ...state, failures };
  }
  return state;
}

function endReplies(state: ChatState, inReplyTo: string, messageId?: string): ChatState {
  const ended = state.replies.filter((reply) => reply.inReplyTo === inReplyTo);
  const replies = state.replies.filter((reply) => reply.inReplyTo !== inReplyTo);
  let next: ChatState = { ...state, replies };
  if (ended.length > 0 && replies.length === 0) next = { ...next, characterTypes: false };
  for (const reply of ended) next = retire(next, reply.messageId);
  return messageId === undefined ? next : retire(next, messageId);
}

function withReply(state: ChatState, reply: ReplyUnderWay): ChatState {
  const replaced = state.replies.find((one) => one.inReplyTo === reply.inReplyTo);
  const others = state.replies.filter((one) => one.inReplyTo !== reply.inReplyTo);
  const next = { ...state, replies: [...others, reply] };
  return replaced !== undefined && replaced.messageId !== reply.messageId
    ? retire(next, replaced.messageId)
    : next;
}

function retire(state: ChatState, messageId: string): ChatState {
  const early = state.early.filter((delta) => delta.messageId !== messageId);
  if (state.retired.includes(messageId))
    return early.length === state.early.length ? state : { ...state, early };
  return { ...state, early, retired: [...state.retired, messageId].slice(-MAX_RETIRED) };
}

function isEnded(state: ChatState, messageId: string): boolean {
  if (state.retired.includes(messageId)) return true;
  const stored = state.messages.find((message) => message.id === messageId);
  return stored !== undefined && !(stored.inReplyTo && isDue(state, stored.inReplyTo));
}

export function replyTo(state: ChatState, asked: string): Message | undefined {
  return state.messages.find((message) => message.inReplyTo === asked);
}

function isDue(state: ChatState, id: string): boolean {
  return state.messages.some((message) => message.id === id && message.replyState === 'due');
}

/** It has its reply, and is not being answered anew. */
function isAnswered(state: ChatState, inReplyTo: string): boolean {
  return replyTo(state, inReplyTo) !== undefined && !isDue(state, inReplyTo);
}

/** A reply under way among what is fresh: it may have the id of the message that it is to replace. */
function streamed(messageId: string): string {
  return `reply ${messageId}`;
}

function note(state: ChatState, id: string): ChatState {
  if (!state.joining || state.fresh.ids.includes(id)) return state;
  return { ...state, fresh: { ...state.fresh, ids: [...state.fresh.ids, id] } };
}

/** What a reply's own events say of the message it answers: one that streams is due, one that is stored is done. */
function withReplyState(state: ChatState, id: string, replyState: 'due' | 'done' | 'failed'): ChatState {
  const applies = (message: Message) => message.id === id && message.replyState !== replyState;
  if (!state.messages.some(applies)) return state;
  const messages = state.messages.map((message) => (applies(message) ? { ...message, replyState } : message));
  return { ...state, messages };
}

function withLine(state: ChatState, line: { state: Phase; pending: number; position?: number }): ChatState {
  const characterTypes = state.characterTypes && line.state !== 'idle';
  return { ...state, characterTypes, phase: line.state, pending: line.pending, position: line.position };
}

function withUsage(state: ChatState, usage: Usage | undefined): ChatState {
  if (usage === undefined) return state;
  const { text, audio, image, resetsAt } = usage;
  return { ...state, usage: { text, audio, image, resetsAt: resetsAt ?? null } };
}

function withUnsent(state: ChatState, clientId: string, change: (unsent: Unsent) => Unsent): ChatState {
  return { ...state, unsent: state.unsent.map((one) => (one.clientId === clientId ? change(one) : one)) };
}

/** What of `unsent` the server has not stored, each once. */
function unconfirmed(unsent: readonly Unsent[], state: ChatState): readonly Unsent[] {
  const mine = state.messages.filter((message) => message.senderId === state.userId);
  const seen = new Set(mine.map((message) => message.clientId));
  const left = unsent.filter(({ clientId }) => {
    if (seen.has(clientId)) return false;
    seen.add(clientId);
    return true;
  });
  return left.length === unsent.length ? unsent : left;
}

function hasGap(messages: readonly Message[]): boolean {
  return messages.some((message, at) => {
    const before = messages[at - 1];
    return before !== undefined && message.seq !== before.seq + 1;
  });
}
