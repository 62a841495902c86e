/**
 * The list of conversations as events change it: pure, so that it can be compared with what the server would answer. What does
 * not follow from what is here is `undefined`, and has to be read anew.
 */
import type { Conversation, Message } from '../api/types';

export interface Listing {
  items: readonly Conversation[];
  /** Null when all are here; undefined before the first page. */
  nextCursor: string | null | undefined;
}

/** Unread messages are counted so far by the server. */
const MAX_UNREAD = 100;

/** The last changed first, as the server lists them. */
export function inOrder(items: readonly Conversation[]): Conversation[] {
  return [...items].sort((a, b) => b.updatedAt.localeCompare(a.updatedAt) || b.id.localeCompare(a.id));
}

/** A conversation in its place, whether it was there or not. */
export function placed({ items, nextCursor }: Listing, conversation: Conversation): Listing {
  const others = items.filter((item) => item.id !== conversation.id);
  return { items: inOrder([conversation, ...others]), nextCursor };
}

/** What was said last in a conversation is this; `me` is who looks at the list. */
export function saidIn(
  listing: Listing,
  me: string,
  conversationId: string,
  lastMessage: Message | null,
  lastSeq: number,
): Listing | undefined {
  const found = listing.items.find((item) => item.id === conversationId);
  if (found === undefined || lastMessage === null || lastSeq < found.lastSeq) return undefined;
  if (lastSeq === found.lastSeq) {
    // Another variant of it, or an event that was heard before.
    const isAnother = found.lastMessage !== null && found.lastMessage?.id !== lastMessage.id;
    if (isAnother) return undefined;
    const items = listing.items.map((item) => (item === found ? { ...found, lastMessage } : item));
    return { ...listing, items };
  }
  // Something between them was not heard of.
  if (lastSeq > found.lastSeq + 1) return undefined;
  const unread = lastMessage.senderId === me ? 0 : Math.min(found.unread + 1, MAX_UNREAD);
  return placed(listing, { ...found, lastMessage, lastSeq, unread, updatedAt: lastMessage.createdAt });
}

/** Somebody read on, here or on another device. */
export function readIn(listing: Listing, conversationId: string, unread: number): Listing {
  const items = listing.items.map((item) =>
    item.id === conversationId && item.unread !== unread ? { ...item, unread } : item,
  );
  return { ...listing, items };
}

/** Unread messages of all conversations that are here. */
export function unreadIn({ items }: Listing): number {
  return items.reduce((sum, item) => sum + item.unread, 0);
}

/** A count as it is shown. */
export function shownCount(count: number): string {
  return count > 99 ? '99+' : `${count}`;
}
