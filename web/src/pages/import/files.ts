/** What people give when they mean a card. */

export const ACCEPTED =
  '.png,.apng,.json,.charx,.jpg,.jpeg,image/png,image/jpeg,application/json,application/zip';

/** Cards that are looked at together, at the most: each is two calls, and calls are counted. */
export const MOST_AT_ONCE = 15;

/** Copied text that may be a card, as a file; whether it is one the server says. */
export function cardOfText(text: string): File | undefined {
  return /^\s*\{/.test(text) ? new File([text], 'Pasted text', { type: 'application/json' }) : undefined;
}

/** Whether what is pasted is meant for the field that has the focus. */
export function isTyping(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('input, textarea, select, [contenteditable]') !== null;
}
