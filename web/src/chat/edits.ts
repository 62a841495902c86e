/**
 * What is typed into the editors of what was said last. It is kept with the conversation and not with its row, which goes when
 * one scrolls away and comes anew when the reply does; and in the browser, as what was not sent is.
 */
import type { Message } from '../api/types';
import { recall, remember } from '../lib/storage';

/** An editor that is open. */
export interface Edit {
  text: string;
}

/** By the message that each is of. */
export type Edits = Readonly<Record<string, Edit>>;

export const NO_EDITS: Edits = {};

const placeOf = (conversation: string) => `edits.${conversation}`;

export function rememberEdits(conversation: string, edits: Edits): void {
  remember(placeOf(conversation), Object.keys(edits).length === 0 ? undefined : JSON.stringify(edits));
}

/** What was being edited here when the page was left, of these messages. */
export function recallEdits(conversation: string, messages: readonly Message[]): Edits {
  try {
    const kept = JSON.parse(recall(placeOf(conversation)) ?? '{}') as Edits;
    return Object.fromEntries(
      Object.entries(kept).filter(([id]) => messages.some((message) => message.id === id)),
    );
  } catch {
    return NO_EDITS;
  }
}
