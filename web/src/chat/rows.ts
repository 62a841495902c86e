/** The rows of a transcript: what stands where, who follows whom, and which message a reply belongs to. */
import type { Message } from '../api/types';
import type { ReplyUnderWay } from '../live/events';
import { isAnswering, lastExchange, replyTo, type ChatState, type Unsent } from './state';

/** Messages of one sender within this time stand together. */
const TOGETHER = 5 * 60_000;

interface Common {
  /** Stays the same when a reply under way becomes a message, so that nothing flickers. */
  key: string;
  /** Whether it continues what stands before it, from the same sender. */
  follows: boolean;
  /** The last of its group carries the time. */
  last: boolean;
}

export type Row =
  | { kind: 'day'; key: string; at: string }
  | (Common & {
      kind: 'message';
      message: Message;
      isMine: boolean;
      /** What it answers, when something else stands between. */
      answers: Message | undefined;
      /** A message that waits for its turn to be answered. */
      waits: boolean;
      /** How many are answered before it, where it waits. */
      ahead: number;
      /** It is part of the last exchange, and nothing is under way: it can be changed. */
      isOpen: boolean;
      /** It was said elsewhere and taken in: no model answers it anew. */
      isImported: boolean;
    })
  | (Common & { kind: 'unsent'; unsent: Unsent })
  | (Common & { kind: 'reply'; reply: ReplyUnderWay | undefined; answers: Message | undefined });

type Said = Exclude<Row, { kind: 'day' }>;

/**
 * `decides`: whether the one who looks decides on the reply to what this person said; `importedSeq`: the last message that was
 * said elsewhere.
 */
export function transcriptRows(
  state: ChatState,
  decides: (senderId: string) => boolean = () => true,
  importedSeq = 0,
): Row[] {
  const rows: Row[] = [];
  let before: { sender: string; at: string; id: string } | undefined;
  const byId = new Map(state.messages.map((message) => [message.id, message]));
  const add = (row: Said, sender: string, at: string, id: string) => {
    const isNewDay =
      before !== undefined && new Date(before.at).toDateString() !== new Date(at).toDateString();
    if (before === undefined || isNewDay) rows.push({ kind: 'day', key: `day-${at}`, at });
    const isTogether =
      before?.sender === sender &&
      !isNewDay &&
      new Date(at).getTime() - new Date(before.at).getTime() < TOGETHER;
    const previous = rows.at(-1);
    if (isTogether && previous !== undefined && previous.kind !== 'day') previous.last = false;
    rows.push({ ...row, follows: isTogether && !('answers' in row && row.answers), last: true });
    before = { sender, at, id };
  };
  /** Nothing when the answered message stands right before its reply. */
  const quoted = (inReplyTo: string | null | undefined) =>
    inReplyTo && before?.id !== inReplyTo ? byId.get(inReplyTo) : undefined;

  const answered = new Set(state.replies.map((reply) => reply.inReplyTo));
  const firstDue = state.messages.find((message) => message.replyState === 'due');
  if (answered.size === 0 && isAnswering(state) && firstDue !== undefined) answered.add(firstDue.id);

  const last = lastExchange(state);
  const open =
    last !== undefined &&
    last.asked.replyState !== 'due' &&
    !isAnswering(state) &&
    decides(last.asked.senderId)
      ? [last.asked.id, last.reply?.id]
      : [];
  // Replies of other conversations come first where none is under way here.
  let ahead = answered.size === 0 ? (state.position ?? 0) : 0;
  for (const message of state.messages) {
    const waits = message.replyState === 'due' && !answered.has(message.id);
    const isMine = message.senderId === state.userId;
    const key = message.inReplyTo ? `reply-${message.inReplyTo}` : message.id;
    const answers = quoted(message.inReplyTo);
    if (message.inReplyTo && answered.has(message.inReplyTo)) {
      // It is answered anew, in its place.
      const reply = state.replies.find((one) => one.inReplyTo === message.inReplyTo);
      const row: Said = { kind: 'reply', key, follows: false, last: true, reply, answers };
      add(row, message.senderId, message.createdAt, message.id);
      continue;
    }
    const isOpen = open.includes(message.id);
    const row: Said = {
      kind: 'message',
      key,
      follows: false,
      last: true,
      message,
      isMine,
      answers,
      waits,
      ahead: waits ? ahead : 0,
      isOpen,
      isImported: message.seq <= importedSeq,
    };
    if (message.replyState === 'due') ahead += 1;
    add(row, message.senderId, message.createdAt, message.id);
  }
  for (const unsent of state.unsent) {
    const row: Said = { kind: 'unsent', key: unsent.clientId, follows: false, last: true, unsent };
    add(row, state.userId, unsent.createdAt, unsent.clientId);
  }
  const underWay: { inReplyTo: string; reply: ReplyUnderWay | undefined }[] =
    state.replies.length > 0
      ? state.replies.map((reply) => ({ inReplyTo: reply.inReplyTo, reply }))
      : isAnswering(state) && firstDue !== undefined
        ? [{ inReplyTo: firstDue.id, reply: undefined }]
        : [];
  for (const { inReplyTo, reply } of underWay) {
    if (replyTo(state, inReplyTo) !== undefined) continue;
    const at = before?.at ?? new Date(0).toISOString();
    const row: Said = {
      kind: 'reply',
      key: `reply-${inReplyTo}`,
      follows: false,
      last: true,
      reply,
      answers: quoted(inReplyTo),
    };
    add(row, state.characterId, at, inReplyTo);
  }
  return rows;
}
