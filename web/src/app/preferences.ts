/**
 * Settings that follow a person from device to device, favourite characters among them. They are read once after signing
 * in, changed here at once, and saved a moment later; a save that fails is tried again with the next change.
 */
import { http } from '../api/client';
import { createStore } from '../lib/store';
import { applyTheme, isTheme, theme, type Theme } from '../ui/theme';

export interface Preferences {
  favourites: readonly string[];
  theme?: Theme;
  /** What another version of this page keeps there stays. */
  [other: string]: unknown;
}

/** Undefined until they were read. */
export const preferences = createStore<Preferences | undefined>(undefined);

/** So that a few presses are one call: calls are counted. */
const PAUSE = 400;

let timer: ReturnType<typeof setTimeout> | undefined;
let reading: Promise<void> | undefined;

export async function loadPreferences(): Promise<void> {
  const asked = (reading ??= http.get<Preferences>('/api/users/me/preferences').then((read) => {
    preferences.set(read);
    if (isTheme(read.theme)) applyTheme(read.theme);
  }));
  try {
    await asked;
  } catch (error) {
    if (reading === asked) reading = undefined;
    throw error;
  }
}

export function forgetPreferences(): void {
  clearTimeout(timer);
  reading = undefined;
  preferences.set(undefined);
}

/** Changes some of them. What was not read yet is not changed: it would take the rest away. */
export function prefer(change: Partial<Preferences>): void {
  const now = preferences.get();
  if (now === undefined) return;
  preferences.set({ ...now, ...change });
  clearTimeout(timer);
  timer = setTimeout(() => {
    const next = preferences.get();
    if (next !== undefined) void http.put('/api/users/me/preferences', next).catch(() => undefined);
  }, PAUSE);
}

export function isFavourite(now: Preferences | undefined, id: string): boolean {
  return now?.favourites.includes(id) === true;
}

export function toggleFavourite(id: string): void {
  const now = preferences.get()?.favourites ?? [];
  prefer({ favourites: now.includes(id) ? now.filter((one) => one !== id) : [...now, id] });
}

theme.subscribe(() => {
  if (preferences.get()?.theme !== theme.get()) prefer({ theme: theme.get() });
});
