/**
 * Settings that follow a person from device to device, favourite characters among them. They are read once after signing
 * in, changed here at once, and saved a moment later. Of what another page saves this one is told: a change is made to what the
 * server has by then. A save names the version that it changes: where another device was first, its settings are read, and the
 * change is made to them. A save that fails is tried again with the next change, and when the network is back.
 */
import { ApiError, http } from '../api/client';
import { createStore } from '../lib/store';
import { applyTheme, isTheme, theme, type Theme } from '../lib/theme';
import type { Connection } from '../live/connection';
import { showToast } from '../lib/toasts';

export interface Preferences {
  favourites: readonly string[];
  theme?: Theme;
  /** What another version of this page keeps there stays. */
  [other: string]: unknown;
}

type Change = (from: Preferences) => Preferences;

/** Undefined until they were read. */
export const preferences = createStore<Preferences | undefined>(undefined);

/** So that a few presses are one call: calls are counted. */
const PAUSE = 400;

const path = '/api/users/me/preferences';

/** So often another device may be first, in one save. */
const TRIES = 5;

/** As the server has them. */
let kept: Preferences | undefined;
/** Which version that is; undefined where that is not known. */
let version: number | undefined;
/** What was changed here and is not saved yet. */
let changes: Change[] = [];
let timer: ReturnType<typeof setTimeout> | undefined;
/** Saves come one after the other: each puts all there is. */
let saving: Promise<void> = Promise.resolve();
let reading: Promise<void> | undefined;

function show(): void {
  if (kept === undefined) return;
  const shown = changes.reduce<Preferences>((from, change) => change(from), kept);
  preferences.set(shown);
  if (isTheme(shown.theme) && shown.theme !== theme.get()) applyTheme(shown.theme);
}

/** What was told meanwhile may be newer. */
function take(now: Preferences, of: number | undefined): void {
  if (kept !== undefined && version !== undefined && of !== undefined && of < version) return;
  [kept, version] = [now, of];
}

/** A call that answers with the settings, and their version as its tag. */
async function ask(
  call: (options: { onTag: (tag: string | null) => void }) => Promise<Preferences>,
): Promise<void> {
  let of: number | undefined;
  const now = await call({
    onTag: (tag) => {
      const number = /^(?:W\/)?"(\d+)"$/.exec(tag ?? '')?.[1];
      of = number === undefined ? undefined : Number(number);
    },
  });
  take(now, of);
}

const read = () => ask((options) => http.get<Preferences>(path, {}, options)).then(show);

export async function loadPreferences(): Promise<void> {
  const asked = (reading ??= read());
  try {
    await asked;
  } catch (error) {
    if (reading === asked) reading = undefined;
    throw error;
  }
}

export function forgetPreferences(): void {
  clearTimeout(timer);
  [kept, version, changes, reading] = [undefined, undefined, [], undefined];
  preferences.set(undefined);
}

/** Follows what is saved elsewhere; after a lost connection nobody knows what was missed. */
export function followPreferences(connection: Pick<Connection, 'onEvent' | 'state'>): void {
  connection.onEvent((event) => {
    if (event.name !== 'preferences:updated') return;
    take(event.payload.preferences as Preferences, event.payload.version);
    show();
  });
  let wasAway = false;
  connection.state.subscribe(() => {
    const state = connection.state.get();
    wasAway ||= state === 'reconnecting' || state === 'offline';
    if (state !== 'connected' || !wasAway) return;
    wasAway = false;
    // It may be another server's data by now, with versions of its own.
    [reading, version] = [undefined, undefined];
    void loadPreferences()
      .then(() => save())
      .catch(() => undefined);
  });
}

function save(): Promise<void> {
  saving = saving.then(put);
  return saving;
}

async function put(): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    if (version === undefined && changes.length > 0) {
      // What was saved elsewhere meanwhile is not known: the changes are made to it.
      try {
        await read();
      } catch {
        return;
      }
    }
    const saved = changes;
    const body = preferences.get();
    if (body === undefined || saved.length === 0) return;
    try {
      const ifMatch = version === undefined ? undefined : `"${version}"`;
      await ask((options) => http.put<Preferences>(path, body, { ifMatch, ...options }));
      changes = changes.filter((change) => !saved.includes(change));
      show();
      return;
    } catch (error) {
      if (!(error instanceof ApiError) || error.status < 400 || error.status >= 500 || error.status === 429)
        return;
      if (error.code === 'left' || error.code === 'unauthenticated') return;
      if (error.code !== 'conflict' || tries === TRIES) {
        // It will not be taken later either.
        changes = changes.filter((change) => !saved.includes(change));
        show();
        showToast(`This could not be kept. ${error.message}`, 'Close', () => Promise.resolve());
        return;
      }
    }
    // Another device was first.
    version = undefined;
  }
}

/** Changes them. What was not read yet is not changed: it would take the rest away. */
function change(how: Change): void {
  if (kept === undefined) return;
  changes = [...changes, how];
  show();
  clearTimeout(timer);
  timer = setTimeout(() => void save(), PAUSE);
}

/** Changes some of them. */
export function prefer(some: Partial<Preferences>): void {
  change((from) => ({ ...from, ...some }));
}

export function isFavourite(now: Preferences | undefined, id: string): boolean {
  return now?.favourites.includes(id) === true;
}

export function toggleFavourite(id: string): void {
  const isOne = isFavourite(preferences.get(), id);
  change((from) => {
    const others = from.favourites.filter((one) => one !== id);
    return { ...from, favourites: isOne ? others : [...others, id] };
  });
}

theme.subscribe(() => {
  const now = preferences.get();
  if (now !== undefined && now.theme !== theme.get()) prefer({ theme: theme.get() });
});
