/** A word that goes by itself, with one thing to do about it: `ui/toast.tsx` shows it. Only the newest is kept. */
import { createStore } from './store';

export interface Toast {
  id: number;
  text: string;
  action: string;
  act: () => Promise<unknown>;
}

export const toasts = createStore<Toast | undefined>(undefined);
let count = 0;

export function showToast(text: string, action: string, act: () => Promise<unknown>): void {
  count += 1;
  toasts.set({ id: count, text, action, act });
}

/** They are of one person, who is no longer here. */
export function clearToasts(): void {
  toasts.set(undefined);
}

export function hide(toast: Toast): void {
  if (toasts.get() === toast) toasts.set(undefined);
}
