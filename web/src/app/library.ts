/**
 * What was read of characters, conversations and usage, kept for as long as the page is open: going back and forth
 * costs no call, and calls are counted.
 */
import { http } from '../api/client';
import type {
  Answer,
  Character,
  CharacterList,
  Conversation,
  ConversationList,
  Message,
  TagCount,
  Usage,
  UsageLimits,
  UsageReport,
} from '../api/types';
import { createStore, useStore } from '../lib/store';
import { clearGalleries } from './gallery';

interface Listing {
  items: readonly Conversation[];
  /** Null when all are here; undefined before the first page. */
  nextCursor: string | null | undefined;
}

export const characters = createStore<Readonly<Record<string, Character>>>({});
export const conversations = createStore<Listing>({ items: [], nextCursor: undefined });
export const usages = createStore<Readonly<Record<string, Usage>>>({});

/** What a day allows; undefined until it was read. */
export const usageLimits = createStore<UsageLimits | undefined>(undefined);

let usageRead: Promise<void> | undefined;
/** Characters of which all is known; those of lists come without their details. */
const whole = new Set<string>();
const charactersAsked = new Map<string, Promise<Character>>();

export function clearLibrary(): void {
  characters.set({});
  conversations.set({ items: [], nextCursor: undefined });
  usages.set({});
  usageLimits.set(undefined);
  usageRead = undefined;
  charactersAsked.clear();
  whole.clear();
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
): Promise<CharacterList> {
  const page = await http.get<CharacterList>('/api/characters', { ...query, limit: 24 }, { signal });
  takeCharacters(page.items);
  return page;
}

/** The most used tags of public characters. */
export const popularTags = createStore<readonly TagCount[]>([]);

export async function loadTags(signal: AbortSignal): Promise<void> {
  popularTags.set(
    (await http.get<{ items: TagCount[] }>('/api/characters/tags', { limit: 12 }, { signal })).items,
  );
}

export async function deleteCharacter(id: string): Promise<void> {
  await http.delete(`/api/characters/${id}`);
  const { [id]: _, ...rest } = characters.get();
  characters.set(rest);
  const { items, nextCursor } = conversations.get();
  conversations.set({ items: items.filter((item) => item.characterId !== id), nextCursor });
}

/** The next page of conversations, the last changed first. */
export async function loadConversations(): Promise<void> {
  const { items, nextCursor } = conversations.get();
  if (nextCursor === null) return;
  const page = await http.get<ConversationList>('/api/conversations', {
    cursor: nextCursor,
    limit: 30,
  });
  const known = new Set(items.map((item) => item.id));
  conversations.set({
    items: [...items, ...page.items.filter((item) => !known.has(item.id))],
    nextCursor: page.nextCursor ?? null,
  });
}

export async function loadConversation(id: string): Promise<Conversation> {
  const known = conversations.get().items.find((item) => item.id === id);
  if (known !== undefined) return known;
  const { conversation } = await http.get<Answer<'Conversation'>>(`/api/conversations/${id}`);
  takeConversation(conversation);
  return conversation;
}

/** The conversation with a character, begun when there is none yet; `greeting` as the server counts them. */
export async function openConversation(characterId: string, greeting = 0): Promise<Conversation> {
  const known = conversations.get().items.find((item) => item.characterId === characterId);
  if (known !== undefined) return known;
  const { conversation } = await http.post<Answer<'Conversation'>>('/api/conversations', {
    characterId,
    ...(greeting > 0 && { greeting }),
  });
  takeConversation(conversation);
  return conversation;
}

/** Something was said in a conversation: it moves to the top of the list. */
export function takeLastMessage(message: Message): void {
  const { items, nextCursor } = conversations.get();
  const found = items.find((item) => item.id === message.conversationId);
  if (found === undefined || message.seq < (found.lastMessage?.seq ?? 0)) return;
  const others = items.filter((item) => item !== found);
  const isNewer = message.seq > (found.lastMessage?.seq ?? 0);
  const changed = { ...found, lastMessage: message, updatedAt: message.createdAt };
  conversations.set({
    items: isNewer ? [changed, ...others] : items.map((item) => (item === found ? changed : item)),
    nextCursor,
  });
}

function takeConversation(conversation: Conversation): void {
  const { items, nextCursor } = conversations.get();
  const others = items.filter((item) => item.id !== conversation.id);
  const sorted = [conversation, ...others].sort((a, b) => b.updatedAt.localeCompare(a.updatedAt));
  conversations.set({ items: sorted, nextCursor });
}

export async function loadUsage(): Promise<void> {
  usageRead ??= http.get<UsageReport>('/api/auth/usage').then(({ characters: read, limits }) => {
    usageLimits.set(limits);
    usages.set({ ...read, ...usages.get() });
  });
  try {
    await usageRead;
  } catch (error) {
    usageRead = undefined;
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
