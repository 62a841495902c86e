/**
 * The shapes of the HTTP API that the page uses, by the names it uses. They are what `npm run types` reads from the
 * server's OpenAPI document; socket events, which that document does not describe, are in `../live/events.ts`.
 */
import type { components } from './schema';

type Schemas = components['schemas'];

export type Allowance = Schemas['Allowance'];
export type Answer<Name extends 'Character' | 'Conversation' | 'Message' | 'SignedIn' | 'User'> =
  Schemas[`${Name}Answer`];
// The document has defaults for them, of which its reader makes fields that are always there.
export type Character = Omit<Schemas['Character'], keyof CharacterDetails | keyof Listing> &
  CharacterDetails &
  Listing;
/** Whether operators took it out of lists; the reason is told to its owner. */
export interface Listing {
  unlisted?: boolean;
  unlistedReason?: string | null;
}
/** What else a character's card says: absent where it is empty, and in lists. */
export interface CharacterDetails {
  nickname?: string;
  alternateGreetings?: string[];
  postHistoryInstructions?: string;
  creatorNotes?: string;
  creator?: string;
  characterVersion?: string;
  lorebook?: Lorebook | null;
}
export interface Lorebook {
  recursiveScanning?: boolean;
  entries?: LoreEntry[];
  /** Whatever else it says is sent back as it came. */
  [more: string]: unknown;
}
export interface LoreEntry {
  keys?: string[];
  content?: string;
  enabled?: boolean;
  constant?: boolean;
  insertionOrder?: number;
  [more: string]: unknown;
}
/** A card that was looked at and not saved. */
export interface CardPreview {
  version: string;
  character: Omit<CharacterDraft, keyof CharacterDetails> & CharacterDetails;
  /** A `data:` URL. */
  picture: string | null;
  /** How many more it has, for the gallery. */
  pictures: number;
  warnings: string[];
}
export type CharacterDraft = Schemas['CharacterDraft'];
export type CharacterList = Schemas['CharacterList'];
export type CharacterSummary = Schemas['CharacterSummary'];
export type Code = Schemas['Code'];
export type Conversation = Schemas['ConversationItem'];
export type ConversationList = Schemas['ConversationList'];
export type Device = Schemas['DeviceItem'];
export type DeviceList = Schemas['DeviceList'];
export type FieldError = Schemas['FieldError'];
export type Message = Schemas['Message'];
/** What a message says of its picture or its voice message. */
export interface Media {
  uploadId: string;
  url: string;
  mimeType: string;
  /** Pixels. */
  width?: number | null;
  height?: number | null;
  blurHash?: string | null;
  lengthMs?: number | null;
  /** 0 to 255 each. */
  waveform?: number[] | null;
  transcript?: string | null;
}
/** A picture or voice message that was sent ahead of its message. */
export interface Upload {
  id: string;
  kind: 'image' | 'audio';
  status: 'processing' | 'ready' | 'failed';
  url: string;
  /** Why it failed. */
  error?: string | null;
}
/** A picture of a character. */
export interface GalleryItem {
  id: string;
  url: string;
  thumbnailUrl: string;
  blurHash?: string | null;
  /** Pixels. */
  width?: number | null;
  height?: number | null;
  caption: string;
  /** Which face it is: a mood, or another label. */
  expression?: string | null;
  position: number;
  createdAt: string;
}
export type MessageList = Schemas['MessageList'];
/** A conversation as it is for everyone in it. */
export type RoomView = Pick<
  Conversation,
  'id' | 'ownerId' | 'characterId' | 'title' | 'memberIds' | 'lastSeq' | 'createdAt' | 'updatedAt'
>;
/** A person as others in a conversation see them. */
export interface Person {
  id: string;
  username: string;
  displayName: string;
  avatarUrl?: string | null;
}
export interface Participant {
  user: Person;
  role: 'owner' | 'guest';
  joinedAt: string;
}
/** A link into a conversation; its token is shown once. */
export interface Invite {
  id: string;
  createdAt: string;
  expiresAt: string;
  uses: number;
  /** Null without end. */
  maxUses?: number | null;
}
export interface NewInvite extends Invite {
  url: string;
  token: string;
}
/** What whoever holds a link sees before they join. */
export interface InvitePreview {
  conversation: { id: string; title: string };
  character: CharacterSummary;
  invitedBy: Person;
  /** How many are in. */
  members: number;
  expiresAt: string;
  isMember: boolean;
}
export type Personality = Schemas['Personality'];
/** The role that one plays in front of characters. */
export interface Persona {
  id: string;
  name: string;
  description: string;
  avatarUrl?: string | null;
  isDefault: boolean;
  revision: number;
  createdAt: string;
  updatedAt: string;
}
/** Which persona one plays in a conversation. */
export interface PersonaChoice {
  /** Null: the default one, whichever that is. */
  persona: Persona | null;
  /** Null: oneself. */
  speaksAs: Persona | null;
}
/** A persona as the others in a conversation see it. */
export interface Played {
  userId: string;
  name: string;
  avatarUrl?: string | null;
}
export type Phase = Schemas['Phase'];
export type Problem = Schemas['Problem'];
export type RegisterForm = Schemas['RegisterForm'];
export type ServerConfig = Schemas['ServerAnswer'];
/** A piece of a text that was found; what fits is marked. */
export interface SearchPart {
  text: string;
  hit: boolean;
}
export interface SearchAnswer {
  characters: Character[];
  messages: {
    message: Message;
    conversation: { id: string; title: string; characterId: string; character: CharacterSummary };
    snippet: SearchPart[];
  }[];
}
/** A tag, and how many public characters have it. */
export interface TagCount {
  tag: string;
  count: number;
}
export type Usage = Schemas['Usage'];
export type UsageLimits = Schemas['UsageLimits'];
export type UsageReport = Schemas['UsageReport'];
export type User = Schemas['User'];
