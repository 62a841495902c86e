/**
 * What was read of characters, conversations and usage, kept for as long as the page is open: going back and forth
 * costs no call, and calls are counted.
 */
import { asApiError, http } from '../api/client';
import type {
  Answer,
  Character,
  Conversation,
  List,
  Message,
  RoomView,
  TagCount,
  Usage,
  UsageLimits,
  UsageReport,
} from '../api/types';
import { createStore, useStore } from '../lib/store';
import { clearGalleries } from './gallery';
import { inOrder, placed, saidIn, type Listing } from './listing';
import { forgetList } from './way-back';

export const characters = createStore<Readonly<Record<string, Character>>>({});
export const conversations = createStore<Listing>({ items: [], nextCursor: undefined });
export const usages = createStore<Readonly<Record<string, Usage>>>({});

/** What a day allows; undefined until it was read. */
export const usageLimits = createStore<UsageLimits | undefined>(undefined);

let usageRead: Promise<void> | undefined;
/** Characters of which all is known; those of lists come without their details. */
const whole = new Set<string>();
const charactersAsked = new Map<string, Promise<Character>>();

/** Conversations that were heard to be gone; an answer that was under way may have them still. */
const dropped = new Set<string>();

export function clearLibrary(): void {
  characters.set({});
  conversations.set({ items: [], nextCursor: undefined });
  usages.set({});
  usageLimits.set(undefined);
  usageRead = undefined;
  charactersAsked.clear();
  whole.clear();
  dropped.clear();
  popularTags.set([]);
  tagsReadAt = 0;
  forgetList();
  clearGalleries();
}

/** Characters as lists show them; one that is known whole stays so, unless it was changed since. */
export function takeCharacters(items: readonly Character[]): void {
  const known = characters.get();
  const news = items.filter((item) => !whole.has(item.id) || known[item.id]?.revision !== item.revision);
  news.forEach((item) => whole.delete(item.id));
  characters.set({ ...known, ...Object.fromEntries(news.map((item) => [item.id, item])) });
}

/** A character with all that it has. */
export function takeWholeCharacter(character: Character): void {
  whole.add(character.id);
  // The list does not have it yet.
  if (!(character.id in characters.get())) forgetList();
  characters.set({ ...characters.get(), [character.id]: character });
}

/** A character with all that it has, once it was read: ask for it with `loadWholeCharacter`. */
export function useWholeCharacter(id: string): Character | undefined {
  const known = useStore(characters)[id];
  return whole.has(id) ? known : undefined;
}

/** One character, read once; `anew` reads it again. */
export async function loadCharacter(id: string, anew = false): Promise<Character> {
  const known = characters.get()[id];
  if (known !== undefined && !anew) return known;
  return readCharacter(id);
}

export async function loadWholeCharacter(id: string): Promise<Character> {
  const known = characters.get()[id];
  return known !== undefined && whole.has(id) ? known : readCharacter(id);
}

function readCharacter(id: string): Promise<Character> {
  const asked = charactersAsked.get(id);
  if (asked !== undefined) return asked;
  const reading = http
    .get<Answer<'Character'>>(`/api/characters/${id}`)
    .then(({ character }) => {
      takeWholeCharacter(character);
      return character;
    })
    .finally(() => charactersAsked.delete(id));
  charactersAsked.set(id, reading);
  return reading;
}

export async function listCharacters(
  query: { q?: string; tag?: string; sort?: string; favourite?: 'true' | ''; cursor?: string },
  signal: AbortSignal,
): Promise<List<'Character'>> {
  const page = await http.get<List<'Character'>>('/api/characters', { ...query, limit: 24 }, { signal });
  takeCharacters(page.items);
  return page;
}

/** The most used tags of public characters. */
export const popularTags = createStore<readonly TagCount[]>([]);

/** How long the tags are taken to be the same, in ms, by who comes and goes. */
const TAGS_LAST = 30_000;
let tagsReadAt = 0;

export async function loadTags(signal: AbortSignal): Promise<void> {
  if (Date.now() - tagsReadAt < TAGS_LAST) return;
  popularTags.set((await http.get<List<'Tag'>>('/api/characters/tags', { limit: 12 }, { signal })).items);
  tagsReadAt = Date.now();
}

export async function deleteCharacter(id: string): Promise<void> {
  await http.delete(`/api/characters/${id}`);
  forgetList();
  const { [id]: _, ...rest } = characters.get();
  characters.set(rest);
  const { items, nextCursor } = conversations.get();
  conversations.set({ items: items.filter((item) => item.characterId !== id), nextCursor });
}

/** The next page of conversations, the last changed first. */
export async function loadConversations(): Promise<void> {
  const { nextCursor: cursor } = conversations.get();
  if (cursor === null) return;
  const page = await http.get<List<'Conversation'>>('/api/conversations', { cursor, limit: 30 });
  // Events may have changed the list meanwhile, and know better.
  const { items } = conversations.get();
  const known = new Set(items.map((item) => item.id));
  const more = page.items.filter((item) => !known.has(item.id) && !dropped.has(item.id));
  conversations.set({ items: inOrder([...items, ...more]), nextCursor: page.nextCursor ?? null });
}

export async function loadConversation(id: string): Promise<Conversation> {
  const known = conversations.get().items.find((item) => item.id === id);
  if (known !== undefined) return known;
  const { conversation } = await http.get<Answer<'Conversation'>>(`/api/conversations/${id}`);
  takeConversation(conversation);
  return conversation;
}

/** Another conversation with a character, which is the one with it from now on; `greeting` as the server counts them. */
export async function beginConversation(characterId: string, greeting = 0): Promise<Conversation> {
  const { conversation } = await http.post<Answer<'Conversation'>>('/api/conversations', {
    characterId,
    greeting,
    new: true,
  });
  takeConversation(conversation);
  return conversation;
}

/** The conversation with a character, begun when there is none yet. */
export async function openConversation(me: string, characterId: string): Promise<Conversation> {
  // Where there are several, or may be, the server knows which one is meant; where one is a guest is somebody else's.
  const { items, nextCursor } = conversations.get();
  const theirs = items.filter((item) => item.characterId === characterId && item.ownerId === me);
  const [known] = theirs;
  if (nextCursor === null && known !== undefined && theirs.length === 1 && !known.branchOf) return known;
  const { conversation } = await http.post<Answer<'Conversation'>>('/api/conversations', { characterId });
  takeConversation(conversation);
  return conversation;
}

/** Conversations that are read anew right now, and whether they were changed again meanwhile. */
const readAnew = new Map<string, boolean>();

/** Something was said in a conversation: it moves to the top of the list. What does not follow from what is here is read anew. */
export function takeSaid(me: string, conversationId: string, message: Message | null, lastSeq: number): void {
  const listing = conversations.get();
  if (listing.nextCursor === undefined) return;
  const next = saidIn(listing, me, conversationId, message, lastSeq);
  if (next === undefined) void readConversation(conversationId);
  else conversations.set(next);
}

/** Reads a conversation of the list anew; one that is gone leaves it. */
export async function readConversation(id: string): Promise<void> {
  if (readAnew.has(id)) {
    readAnew.set(id, true);
    return;
  }
  try {
    do {
      readAnew.set(id, false);
      const { conversation } = await http.get<Answer<'Conversation'>>(`/api/conversations/${id}`);
      takeConversation(conversation);
    } while (readAnew.get(id));
  } catch (error) {
    if (asApiError(error).code === 'not_found') dropConversation(id);
  } finally {
    readAnew.delete(id);
  }
}

/** The first page anew, after a time in which nothing was heard. */
export async function refreshConversations(): Promise<void> {
  if (conversations.get().nextCursor === undefined) return;
  const page = await http.get<List<'Conversation'>>('/api/conversations', { limit: 30 });
  const { items, nextCursor } = conversations.get();
  const oldest = page.items.at(-1)?.updatedAt ?? '';
  const fresh = new Set(page.items.map((item) => item.id));
  // What belongs on the page and is not there is gone; what comes after it stays.
  const rest = items.filter((item) => !fresh.has(item.id) && page.nextCursor && item.updatedAt <= oldest);
  conversations.set({
    items: [...page.items, ...rest],
    nextCursor: rest.length === 0 ? (page.nextCursor ?? null) : nextCursor,
  });
}

/** What is new of a conversation for everyone in it. Messages may have come since. */
export function takeRoom(room: RoomView): void {
  const found = conversations.get().items.find((item) => item.id === room.id);
  if (found === undefined) return;
  const lastSeq = Math.max(found.lastSeq, room.lastSeq);
  const updatedAt = found.updatedAt > room.updatedAt ? found.updatedAt : room.updatedAt;
  takeConversation({ ...found, ...room, lastSeq, updatedAt });
}

export function takeConversation(conversation: Conversation): void {
  dropped.delete(conversation.id);
  conversations.set(placed(conversations.get(), conversation));
}

export function dropConversation(id: string): void {
  dropped.add(id);
  const { items, nextCursor } = conversations.get();
  conversations.set({ items: items.filter((item) => item.id !== id), nextCursor });
}

export async function renameConversation(id: string, title: string): Promise<void> {
  const { conversation } = await http.patch<Answer<'Conversation'>>(`/api/conversations/${id}`, { title });
  takeConversation(conversation);
}

/** Those that can be had back, the last deleted first. */
export async function listDeleted(
  cursor: string | undefined,
  signal?: AbortSignal,
): Promise<List<'Conversation'>> {
  const query = { deleted: 'true', cursor, limit: 30 };
  return http.get<List<'Conversation'>>('/api/conversations', query, signal === undefined ? {} : { signal });
}

export async function loadUsage(): Promise<void> {
  const reading = (usageRead ??= http
    .get<UsageReport>('/api/auth/usage')
    .then(({ characters: read, limits }) => {
      usageLimits.set(limits);
      usages.set({ ...read, ...usages.get() });
    }));
  try {
    await reading;
  } catch (error) {
    if (usageRead === reading) usageRead = undefined;
    throw error;
  }
}

/** The whole allowance, of a character that was not yet written to. */
export function unused({ text, audio, image }: UsageLimits): Usage {
  const whole = (limit: number | null | undefined) => ({
    used: 0,
    limit: limit ?? null,
    remaining: limit ?? null,
  });
  return { text: whole(text), audio: whole(audio), image: whole(image), resetsAt: null };
}

export function takeUsage(characterId: string, { text, audio, image, resetsAt }: Usage): void {
  usages.set({ ...usages.get(), [characterId]: { text, audio, image, resetsAt: resetsAt ?? null } });
}
