/** What the parts of an open conversation know of its people: how they are called, and who decides on what. */
import { createContext, useContext, useEffect, useMemo } from 'react';
import type { Conversation, Person } from '../api/types';
import { loadMembers, loadPerson, people } from '../app/rooms';
import { useWho } from '../app/who';
import type { ChatState } from '../chat/state';
import { useLoad } from '../lib/load';
import { useStore } from '../lib/store';

export interface Room {
  /** Whether more than one person is in, or said something here. */
  several: boolean;
  person: (id: string) => Person | undefined;
  name: (id: string) => string;
  /** Whether the one who looks decides on the reply to what this person said. */
  decides: (senderId: string) => boolean;
}

const ALONE: Room = { several: false, person: () => undefined, name: () => 'Somebody', decides: () => true };

export const RoomContext = createContext<Room>(ALONE);

export const useRoom = (): Room => useContext(RoomContext);

/** Reads who is in, and who was. */
export function useRoomOf(conversation: Conversation, state: ChatState): Room {
  const { user } = useWho();
  const known = useStore(people);
  const { memberIds, ownerId } = conversation;
  const senders = new Set(
    state.messages.filter(({ role }) => role === 'user').map(({ senderId }) => senderId),
  );
  senders.delete(user.id);
  const several = memberIds.length > 1 || senders.size > 0;
  const membersRead = useLoad(several ? `members ${conversation.id}` : undefined, () =>
    loadMembers(conversation.id),
  );
  // Who left is not among them.
  const left = membersRead.pending ? '' : [...senders].filter((id) => !(id in known)).join(' ');
  useEffect(() => {
    for (const id of left.split(' ')) if (id !== '') void loadPerson(id);
  }, [left]);
  // The same for as long as it says the same: all that is shown of a conversation hangs on it.
  return useMemo(
    () => ({
      several,
      person: (id) => known[id],
      name: (id) => (id === user.id ? user.displayName : (known[id]?.displayName ?? 'Somebody')),
      decides: (senderId) => ownerId === user.id || senderId === user.id,
    }),
    [several, known, user, ownerId],
  );
}
