import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createStore, type Store } from '../lib/store';
import type { ConnectionState } from '../live/connection';
import type { ServerEvent } from '../live/events';
import {
  followPreferences,
  forgetPreferences,
  loadPreferences,
  preferences,
  toggleFavourite,
} from './preferences';

interface Kept {
  favourites: string[];
  [other: string]: unknown;
}

let server: Kept;
/** Raised by every save, of this page or another. */
let saved: number;
let saves: Kept[];
/** What another device saves just before the next save comes in. */
let first: Kept | undefined;
/** What a save is answered with, where it is refused; `lost` is no answer. */
let refusal: number | 'lost' | undefined;
let tell: (event: ServerEvent) => void;
let state: Store<ConnectionState>;

beforeEach(async () => {
  vi.useFakeTimers();
  state = createStore<ConnectionState>('connected');
  [server, saved, saves, refusal] = [{ favourites: ['a'], other: 'stays' }, 1, [], undefined];
  first = undefined;
  vi.stubGlobal('fetch', (_: string, { method, body, headers }: RequestInit) => {
    if (method === 'PUT') {
      if (refusal === 'lost') return Promise.reject(new TypeError('no network'));
      if (refusal !== undefined)
        return Promise.resolve(
          Response.json({ code: 'payload_too_large', detail: 'Too much.' }, { status: refusal }),
        );
      if (first !== undefined) [server, saved, first] = [first, saved + 1, undefined];
      if ((headers as Headers).get('if-match') !== `"${saved}"`)
        return Promise.resolve(
          Response.json({ code: 'conflict', detail: 'Load them again.' }, { status: 409 }),
        );
      server = JSON.parse(body as string) as Kept;
      saved += 1;
      saves.push(server);
    }
    return Promise.resolve(Response.json(server, { headers: { etag: `"${saved}"` } }));
  });
  followPreferences({
    state,
    onEvent: (listener) => {
      tell = listener;
      return () => undefined;
    },
  });
  await loadPreferences();
});
afterEach(() => {
  forgetPreferences();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const told = (version: number, favourites: string[]) => {
  const preferences = { favourites, other: 'stays' };
  if (version > saved) [server, saved] = [preferences, version];
  tell({ name: 'preferences:updated', payload: { version, preferences } });
};
const shown = () => preferences.get()?.favourites;

test('a few presses are one save, which takes nothing away', async () => {
  toggleFavourite('b');
  toggleFavourite('c');
  toggleFavourite('a');
  expect(shown()).toEqual(['b', 'c']);
  await vi.runAllTimersAsync();
  expect(saves).toEqual([{ favourites: ['b', 'c'], other: 'stays' }]);
});

test('what another page saved is here at once, and what is changed here is added to it', async () => {
  toggleFavourite('b');
  told(2, ['a', 'c']);
  expect(shown()).toEqual(['a', 'c', 'b']);
  told(1, ['too old']);
  expect(shown()).toEqual(['a', 'c', 'b']);
  await vi.runAllTimersAsync();
  expect(saves).toEqual([{ favourites: ['a', 'c', 'b'], other: 'stays' }]);
  told(3, ['a', 'c', 'b']);
  expect(shown()).toEqual(['a', 'c', 'b']);
});

test('of two devices that save within one round trip none takes away what the other saved', async () => {
  toggleFavourite('b');
  toggleFavourite('a');
  first = { favourites: ['a', 'theirs'], other: 'changed too' };
  await vi.runAllTimersAsync();
  expect(saves).toEqual([{ favourites: ['theirs', 'b'], other: 'changed too' }]);
  expect(shown()).toEqual(['theirs', 'b']);
  // What is saved next is of the version that came of it.
  toggleFavourite('c');
  await vi.runAllTimersAsync();
  expect(server.favourites).toEqual(['theirs', 'b', 'c']);
  expect(saved).toBe(4);
});

test('what the server does not take is not shown as if it did', async () => {
  refusal = 413;
  toggleFavourite('b');
  expect(shown()).toEqual(['a', 'b']);
  await vi.runAllTimersAsync();
  expect(shown()).toEqual(['a']);
});

test('what did not get through is saved when the network is back, with what was missed', async () => {
  refusal = 'lost';
  toggleFavourite('b');
  await vi.runAllTimersAsync();
  expect([shown(), saves]).toEqual([['a', 'b'], []]);
  refusal = undefined;
  [server, saved] = [{ favourites: ['missed'], other: 'stays' }, 7];
  state.set('reconnecting');
  state.set('connected');
  await vi.runAllTimersAsync();
  expect(saves).toEqual([{ favourites: ['missed', 'b'], other: 'stays' }]);
  expect(shown()).toEqual(['missed', 'b']);
});
