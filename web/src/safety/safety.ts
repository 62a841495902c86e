/** Whom one blocked, and reporting: what people do about each other. */
import { http } from '../api/client';
import type { Block, List, Message, ReportForm } from '../api/types';
import { plainText } from '../chat/words';
import { createStore } from '../lib/store';

/** The last blocked first; undefined until they were read. */
export const blocks = createStore<readonly Block[] | undefined>(undefined);

let reading: Promise<void> | undefined;

/** Reads them once. */
export async function loadBlocks(): Promise<void> {
  const asked: Promise<void> = (reading ??= http
    .get<List<'Block'>>('/api/users/me/blocks')
    .then(({ items }) => {
      if (reading === asked) blocks.set(items);
    }));
  try {
    await asked;
  } catch (error) {
    if (reading === asked) reading = undefined;
    throw error;
  }
}

export function forgetBlocks(): void {
  reading = undefined;
  blocks.set(undefined);
}

export function isBlocked(now: readonly Block[] | undefined, id: string): boolean {
  return now?.some((one) => one.user.id === id) === true;
}

/** Whether these are words of somebody else, who may be blocked. */
export const isOfAnother = (message: Message, me: string) =>
  message.role === 'user' && message.senderId !== me;

/** A message in the line of a list: without the words of who is blocked, nor of who may be while that was not read yet. */
export function inALine(now: readonly Block[] | undefined, me: string, message: Message): string {
  if (!isOfAnother(message, me)) return plainText(message.text);
  if (now === undefined) return 'A message';
  return isBlocked(now, message.senderId) ? 'Message of a blocked person' : plainText(message.text);
}

export async function block(id: string): Promise<void> {
  await http.put(`/api/users/me/blocks/${encodeURIComponent(id)}`, undefined);
  // With the name that the list shows, and in the server's order.
  reading = undefined;
  await loadBlocks();
}

export async function unblock(id: string): Promise<void> {
  await http.delete(`/api/users/me/blocks/${encodeURIComponent(id)}`);
  blocks.set(blocks.get()?.filter((one) => one.user.id !== id));
}

/** What may be reported, as the server names it. */
export type Reportable = Pick<ReportForm, 'kind' | 'id' | 'conversationId'>;

export type Reason = ReportForm['reason'];

export const REASONS: readonly (readonly [Reason, string])[] = [
  ['harassment', 'Harassment or threats'],
  ['hate', 'Hate against a group of people'],
  ['sexual_minors', 'Sexual content with minors'],
  ['self_harm', 'Suicide or self-harm'],
  ['illegal', 'Something else that is illegal'],
  ['impersonation', 'It pretends to be somebody'],
  ['spam', 'Spam or advertising'],
  ['other', 'Something else'],
];

export function reasonWords(reason: Reason): string {
  return REASONS.find(([name]) => name === reason)?.[1] ?? reason;
}

export async function report(what: Reportable, reason: Reason, note: string): Promise<void> {
  await http.post('/api/reports', { ...what, reason, note: note.trim() });
}
