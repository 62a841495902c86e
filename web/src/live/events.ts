/** Socket.IO as the server speaks it: what it tells this page, and what the page may ask of it. */
import type { Code, Message, Phase, RoomView, Upload, Usage } from '../api/types';

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
  /** The last person's message and what came after it are gone; `removals` counts how often that happened. */
  'message:removed': { conversationId: string; fromSeq: number; removals: number; messageIds: string[] };
  'reply:start': { conversationId: string; messageId: string; inReplyTo: string };
  'reply:delta': ReplyDelta;
  'reply:error': { conversationId: string; messageId: string; inReplyTo: string; error: EventError };
  'conversation:resync': { conversationId: string };
  'conversation:state': { conversationId: string } & LineState;
  typing: { conversationId: string; userId?: string; characterId?: string; typing: boolean };
  /** Its name or its people changed. */
  'conversation:updated': { conversation: RoomView };
  /** This person is in a conversation now. */
  'conversation:added': { conversationId: string };
  /** This person is no longer in a conversation, or it is gone. */
  'conversation:removed': { conversationId: string };
  'usage:updated': { characterId: string } & Usage;
  'upload:updated': { upload: Upload };
  /** Something was said in a conversation whose room this page is not in. */
  'conversation:activity': { conversationId: string; lastMessage: Message | null; lastSeq: number };
  /** One's own reading, in another place. */
  'conversation:read': { conversationId: string; seq: number; unread: number };
  /** The pictures of a character of one's own, or of one that is talked with here, are others now. */
  'gallery:updated': { characterId: string };
  /** A form of one's own was saved, here or elsewhere; without a time it is gone. */
  'draft:updated': { key: string; savedAt: string | null };
  /** One's own settings are these now; a greater version was saved later. */
  'preferences:updated': { version: number; preferences: Record<string, unknown> };
}

export type ServerEventName = keyof ServerEvents;

/** One event with its payload, told apart by `name`. */
export type ServerEvent = { [N in ServerEventName]: { name: N; payload: ServerEvents[N] } }[ServerEventName];

export const SERVER_EVENTS: readonly ServerEventName[] = [
  'message:new',
  'message:updated',
  'message:removed',
  'reply:start',
  'reply:delta',
  'reply:error',
  'conversation:resync',
  'conversation:state',
  'typing',
  'conversation:updated',
  'conversation:added',
  'conversation:removed',
  'usage:updated',
  'upload:updated',
  'conversation:activity',
  'conversation:read',
  'gallery:updated',
  'draft:updated',
  'preferences:updated',
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
  /** How often the end of the conversation was removed. */
  removals?: number;
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
  'conversation:read': {
    ask: { conversationId: string; seq: number };
    answer: { ok: true } | Refused;
  };
  'message:cancel': { ask: { conversationId: string }; answer: { ok: true } | Refused };
}
