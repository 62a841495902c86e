/** Socket.IO as the server speaks it: what it tells this page, and what the page may ask of it. */
import type { Code, Message, Phase, Upload, Usage } from '../api/types';

export interface EventError {
  code: Code;
  detail: string;
  /** Seconds. */
  retryAfter?: number;
}

/** A reply under way, as far as it has come. */
export interface ReplyUnderWay {
  messageId: string;
  inReplyTo: string;
  text: string;
}

export interface ReplyDelta {
  conversationId: string;
  messageId: string;
  /** UTF-16 code units from the reply's start, the unit of a string's length here. */
  offset: number;
  text: string;
}

export interface LineState {
  state: Phase;
  /** Messages that wait, the one being answered apart. */
  pending: number;
  /** Replies before this conversation's next one in the character's line. */
  position?: number;
}

export interface ServerEvents {
  'message:new': { message: Message };
  'message:updated': { message: Message };
  'reply:start': { conversationId: string; messageId: string; inReplyTo: string };
  'reply:delta': ReplyDelta;
  'reply:error': { conversationId: string; messageId: string; inReplyTo: string; error: EventError };
  'conversation:resync': { conversationId: string };
  'conversation:state': { conversationId: string } & LineState;
  typing: { conversationId: string; userId?: string; characterId?: string; typing: boolean };
  'usage:updated': { characterId: string } & Usage;
  'upload:updated': { upload: Upload };
  /** A form of one's own was saved, here or elsewhere; without a time it is gone. */
  'draft:updated': { key: string; savedAt: string | null };
}

export type ServerEventName = keyof ServerEvents;

/** One event with its payload, told apart by `name`. */
export type ServerEvent = { [N in ServerEventName]: { name: N; payload: ServerEvents[N] } }[ServerEventName];

export const SERVER_EVENTS: readonly ServerEventName[] = [
  'message:new',
  'message:updated',
  'reply:start',
  'reply:delta',
  'reply:error',
  'conversation:resync',
  'conversation:state',
  'typing',
  'usage:updated',
  'upload:updated',
  'draft:updated',
];

export interface Refused {
  ok: false;
  error: EventError;
}

export interface Joined extends LineState {
  ok: true;
  messages: Message[];
  hasMore?: boolean;
  partial?: ReplyUnderWay | null;
}

export interface Sent {
  ok: true;
  message: Message;
  state: Phase;
  usage?: Usage;
}

export interface ClientEvents {
  'conversation:join': { ask: { conversationId: string; afterSeq?: number }; answer: Joined | Refused };
  'conversation:leave': { ask: { conversationId: string }; answer: { ok: true } | Refused };
  'message:send': {
    ask: {
      conversationId: string;
      clientId: string;
      type: 'text' | 'audio' | 'image';
      text: string;
      uploadId?: string;
    };
    answer: Sent | Refused;
  };
  'message:cancel': { ask: { conversationId: string }; answer: { ok: true } | Refused };
}
