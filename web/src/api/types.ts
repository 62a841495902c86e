/**
 * The shapes of the HTTP API that the page uses. Every one is an alias of what `npm run types` reads from the
 * server's OpenAPI document; socket events, which that document does not describe, are in `../live/events.ts`.
 */
export interface User {
  id: string;
  username: string;
  displayName: string;
  avatarUrl?: string | null;
  email: string;
  tier: 'free' | 'premium';
  role: 'user' | 'admin';
  createdAt: string;
}

export interface Character {
  id: string;
  name: string;
  description: string;
  personality: string;
  scenario: string;
  greeting: string;
  exampleDialogue: string;
  systemPrompt: string;
  tags: string[];
  visibility: 'public' | 'private';
  avatarUrl?: string | null;
  ownerId?: string | null;
}

export interface Conversation {
  id: string;
  characterId: string;
  ownerId: string;
  title: string;
  memberIds: string[];
  lastSeq: number;
  createdAt: string;
  updatedAt: string;
  character: CharacterSummary;
  lastMessage?: Message | null;
}

export interface CharacterSummary {
  id: string;
  name: string;
  avatarUrl?: string | null;
}

export interface Personality {
  mood: string;
  expression: string;
  adherence: number;
}

export interface Message {
  id: string;
  conversationId: string;
  seq: number;
  role: 'user' | 'character';
  senderId: string;
  type: 'text' | 'audio' | 'image';
  text: string;
  inReplyTo?: string | null;
  clientId?: string | null;
  createdAt: string;
  replyState?: 'due' | 'done' | 'failed' | 'cancelled' | null;
  personality?: Personality | null;
}

export interface Allowance {
  used: number;
  limit?: number | null;
  remaining?: number | null;
}

export interface Usage {
  text: Allowance;
  audio: Allowance;
  image: Allowance;
  resetsAt?: string | null;
}

export interface UsageReport {
  tier: 'free' | 'premium';
  characters: Record<string, Usage>;
}

export interface Device {
  id: string;
  device: string;
  createdAt: string;
  lastUsedAt: string;
  current: boolean;
}

export interface ServerConfig {
  provider: string;
  model: string;
  demo: boolean;
  registration: 'open' | 'closed';
}

export type Code =
  | 'unauthenticated'
  | 'forbidden'
  | 'not_found'
  | 'validation'
  | 'conflict'
  | 'usage_limit_reached'
  | 'rate_limited'
  | 'payload_too_large'
  | 'unsupported_media_type'
  | 'unavailable'
  | 'internal';

export interface FieldError {
  field: string;
  message: string;
}

export type Phase = 'idle' | 'processing' | 'queued';
