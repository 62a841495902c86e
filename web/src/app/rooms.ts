/**
 * Conversations of several people: who they are, the links by which others come in, and what the socket tells of who
 * comes and goes.
 */
import { http } from '../api/client';
import type {
  Answer,
  Conversation,
  Invite,
  InvitePreview,
  List,
  NewInvite,
  Participant,
  Person,
} from '../api/types';
import { createStore } from '../lib/store';
import type { Connection } from '../live/connection';
import { conversations, dropConversation, readConversation, takeConversation, takeRoom } from './library';

/** Everyone of whom something was read, by id. */
export const people = createStore<Readonly<Record<string, Person>>>({});
/** Who is in a conversation, by its id, the owner first. */
export const members = createStore<Readonly<Record<string, readonly Participant[]>>>({});
/** Conversations that this person is no longer in, by id; an open page of one leads away. */
export const gone = createStore<Readonly<Record<string, true>>>({});
/** The conversation that this person was taken out of while they looked at it. */
export const parting = createStore<{ id: string; title: string } | undefined>(undefined);

/** Conversations that are left on purpose: nobody has to be told. */
const leaving = new Set<string>();
const peopleAsked = new Set<string>();

export function clearRooms(): void {
  people.set({});
  members.set({});
  gone.set({});
  parting.set(undefined);
  leaving.clear();
  peopleAsked.clear();
}

export async function loadMembers(conversation: string): Promise<void> {
  const { items } = await http.get<List<'Member'>>(`/api/conversations/${conversation}/members`);
  members.set({ ...members.get(), [conversation]: items });
  people.set({ ...people.get(), ...Object.fromEntries(items.map(({ user }) => [user.id, user])) });
}

/** Somebody who once said something and is no longer in. Of an account that is gone nothing is known. */
export async function loadPerson(id: string): Promise<void> {
  if (id in people.get() || peopleAsked.has(id)) return;
  peopleAsked.add(id);
  try {
    const { user } = await http.get<Answer<'Profile'>>(`/api/users/${encodeURIComponent(id)}`);
    people.set({ ...people.get(), [id]: user });
  } catch {
    // They are called somebody.
  }
}

/** Takes somebody out, or leaves. */
export async function removeMember(conversation: string, userId: string): Promise<void> {
  await http.delete(`/api/conversations/${conversation}/members`, { userId });
}

/** Leaves a conversation, which is gone from this page then. */
export async function leaveConversation(conversation: string, userId: string): Promise<void> {
  await part(conversation, () => removeMember(conversation, userId));
}

/** Deletes a conversation, which is gone from this page then, and can be had back. */
export async function deleteConversation(conversation: string): Promise<void> {
  await part(conversation, () => http.delete(`/api/conversations/${conversation}`));
}

async function part(conversation: string, how: () => Promise<void>): Promise<void> {
  leaving.add(conversation);
  try {
    await how();
  } catch (error) {
    leaving.delete(conversation);
    throw error;
  }
  takeRemoved(conversation);
}

export async function restoreConversation(id: string): Promise<Conversation> {
  const { conversation } = await http.post<Answer<'Conversation'>>(`/api/conversations/${id}/restore`);
  comeBack(id);
  takeConversation(conversation);
  return conversation;
}

export async function listInvites(conversation: string): Promise<Invite[]> {
  return (await http.get<List<'Invite'>>(`/api/conversations/${conversation}/invites`)).items;
}

/** `expiresIn` in seconds; without `maxUses` anybody may come in by it. */
export async function createInvite(
  conversation: string,
  form: { expiresIn: number; maxUses?: number },
): Promise<NewInvite> {
  return (await http.post<Answer<'NewInvite'>>(`/api/conversations/${conversation}/invites`, form)).invite;
}

export async function revokeInvite(conversation: string, invite: string): Promise<void> {
  await http.delete(`/api/conversations/${conversation}/invites/${invite}`);
}

const linkPath = (token: string) => `/api/invites/${encodeURIComponent(token)}`;

export async function readInvite(token: string): Promise<InvitePreview> {
  return (await http.get<Answer<'Invite'>>(linkPath(token))).invite;
}

export async function acceptInvite(token: string): Promise<Conversation> {
  const { conversation } = await http.post<Answer<'Conversation'>>(linkPath(token));
  comeBack(conversation.id);
  takeConversation(conversation);
  return conversation;
}

/** Follows what the socket tells of this person's conversations. */
export function followRooms(connection: Connection): void {
  connection.onEvent((event) => {
    switch (event.name) {
      case 'conversation:updated': {
        const { conversation } = event.payload;
        takeRoom(conversation);
        void followMembers(conversation.id, conversation.memberIds);
        break;
      }
      case 'conversation:added':
        void takeAdded(event.payload.conversationId);
        break;
      case 'conversation:removed':
        takeRemoved(event.payload.conversationId);
        break;
    }
  });
}

/** Those who left are gone from the list; of those who came it is read anew. */
async function followMembers(conversation: string, memberIds: readonly string[]): Promise<void> {
  const known = members.get()[conversation];
  if (known === undefined) return;
  const left = known.filter(({ user }) => memberIds.includes(user.id));
  members.set({ ...members.get(), [conversation]: left });
  if (left.length < memberIds.length) await loadMembers(conversation).catch(() => undefined);
}

async function takeAdded(id: string): Promise<void> {
  comeBack(id);
  // Out of reach, it comes with the list when that is read anew.
  await readConversation(id).catch(() => undefined);
}

function comeBack(id: string): void {
  leaving.delete(id);
  const { [id]: _, ...rest } = gone.get();
  gone.set(rest);
  if (parting.get()?.id === id) parting.set(undefined);
}

/** This person is no longer in it, or it is gone. */
export function takeRemoved(id: string): void {
  const found = conversations.get().items.find((item) => item.id === id);
  if (found !== undefined && !leaving.has(id) && location.pathname === `/c/${id}`) {
    parting.set({ id, title: found.title });
  }
  gone.set({ ...gone.get(), [id]: true });
  dropConversation(id);
  const { [id]: _, ...rest } = members.get();
  members.set(rest);
}
