/** What one wrote and the server does not have yet, by its conversation: kept in the browser, so that nothing is lost with the page. */
import { recall, remember } from '../lib/storage';
import { createStore, useStore } from '../lib/store';
import type { EventError } from '../live/events';
import type { Unsent } from './state';

const LEFT: EventError = {
  code: 'unavailable',
  detail: 'The page was closed before this was sent, or another tab is sending it.',
};

const placeOf = (conversation: string) => `unsent.${conversation}`;

/** Counts the changes, for those who look at all conversations. */
const changes = createStore(0);

export function rememberUnsent(conversation: string, unsent: readonly Unsent[]): void {
  remember(placeOf(conversation), unsent.length === 0 ? undefined : JSON.stringify(unsent));
  changes.set(changes.get() + 1);
}

function keptUnsent(conversation: string): Unsent[] {
  try {
    return JSON.parse(recall(placeOf(conversation)) ?? '[]') as Unsent[];
  } catch {
    return [];
  }
}

/**
 * What a page left behind is not sent behind the person's back: it waits to be sent or discarded. What was refused says why,
 * as before.
 */
export const recallUnsent = (conversation: string): Unsent[] =>
  keptUnsent(conversation).map((unsent) =>
    unsent.status === 'refused' ? unsent : { ...unsent, status: 'refused', error: LEFT },
  );

/** The first of a conversation, whichever place one looks at. */
export function useFirstUnsent(conversation: string): Unsent | undefined {
  useStore(changes);
  return keptUnsent(conversation)[0];
}
