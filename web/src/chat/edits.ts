/**
 * What is typed into the editors of what was said last. It is kept with the conversation and not with its row, which goes when
 * one scrolls away and comes anew when the reply does; and in the browser, as what was not sent is.
 */
import type { Message } from '../api/types';
import { recall, remember } from '../lib/storage';

/** What a message says, and as which of its variants, counted from 0. */
interface Said {
  text: string;
  variant: number;
}

/** An editor that is open. */
export interface Edit {
  text: string;
  /** What it is made of. */
  of: Said;
}

/** By the message that each is of. */
export type Edits = Readonly<Record<string, Edit>>;

export const NO_EDITS: Edits = {};

export const variantOf = (message: Message): number => message.variants?.selected ?? 0;

export const editOf = (message: Message): Edit => ({
  text: message.text,
  of: { text: message.text, variant: variantOf(message) },
});

/** Whether it would take the place of something else than it is made of. */
export const wasChanged = ({ text, of }: Edit, message: Message): boolean =>
  message.text !== text && (message.text !== of.text || variantOf(message) !== of.variant);

const placeOf = (conversation: string) => `edits.${conversation}`;

export function rememberEdits(conversation: string, edits: Edits): void {
  remember(placeOf(conversation), Object.keys(edits).length === 0 ? undefined : JSON.stringify(edits));
}

/** What was being edited here when the page was left. */
export function recallEdits(conversation: string): Edits {
  try {
    return JSON.parse(recall(placeOf(conversation)) ?? '{}') as Edits;
  } catch {
    return NO_EDITS;
  }
}
