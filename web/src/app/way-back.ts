/** The list of characters as it was left for one of them: who comes back soon goes on where they were. */
import type { Character } from '../api/types';
import { createStore, useStore } from '../lib/store';

export interface LeftList {
  /** What was looked for. */
  key: string;
  /** The same in the address. */
  search: string;
  items: readonly Character[];
  nextCursor: string | null;
  /** How far down one was, in pixels. */
  scroll: number;
  /** The link by which one went, if it had the focus. */
  href: string | undefined;
  at: number;
}

/** As long as it counts as the same visit, in ms. */
const LASTS = 5 * 60_000;

const left = createStore<LeftList | undefined>(undefined);

export function leaveList(list: Omit<LeftList, 'at'>): void {
  left.set({ ...list, at: Date.now() });
}

/** It was changed, or is of somebody who is no longer here. */
export function forgetList(): void {
  left.set(undefined);
}

export function leftList(): LeftList | undefined {
  const list = left.get();
  return list !== undefined && Date.now() - list.at < LASTS ? list : undefined;
}

/** Where the list stands. */
export const useListPath = (): string => `/characters${useStore(left)?.search ?? ''}`;
