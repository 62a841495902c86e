/**
 * The conversations that this page follows: the one that one looks at, and those that were left with something to send. These
 * go on until it is sent, whichever place one looks at.
 */
import type { Connection } from '../live/connection';
import { Chat } from './chat';

const chats = new Map<string, Chat>();

/** The one that goes on still, or a new one, which is followed from `openChat` on. */
export function chatOf(
  conversation: string,
  character: string,
  user: string,
  connection: Connection,
  removals: number | undefined,
): Chat {
  return chats.get(conversation) ?? new Chat(conversation, character, user, connection, removals);
}

export function openChat(chat: Chat): void {
  chats.set(chat.id, chat);
  chat.open();
}

/** One looks elsewhere: it ends once nothing waits any more. */
export function leaveChat(chat: Chat): void {
  chat.leave(() => {
    if (chats.get(chat.id) === chat) chats.delete(chat.id);
  });
}

/** Whether what waits in a conversation is sent by this page. */
export const isFollowed = (conversation: string): boolean => chats.has(conversation);

/** They are of somebody who is no longer here. */
export function forgetChats(): void {
  for (const chat of chats.values()) chat.close();
  chats.clear();
}
