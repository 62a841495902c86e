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
let saves: Kept[];
/** What a save is answered with, where it is refused; `lost` is no answer. */
let refusal: number | 'lost' | undefined;
let tell: (event: ServerEvent) => void;
let state: Store<ConnectionState>;

beforeEach(async () => {
  vi.useFakeTimers();
  state = createStore<ConnectionState>('connected');
  [server, saves, refusal] = [{ favourites: ['a'], other: 'stays' }, [], undefined];
  vi.stubGlobal('fetch', (_: string, { method, body }: RequestInit) => {
    if (method === 'PUT') {
      if (refusal === 'lost') return Promise.reject(new TypeError('no network'));
      if (refusal !== undefined)
        return Promise.resolve(
          Response.json({ code: 'payload_too_large', detail: 'Too much.' }, { status: refusal }),
        );
      server = JSON.parse(body as string) as Kept;
      saves.push(server);
    }
    return Promise.resolve(Response.json(server));
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
  server = { favourites, other: 'stays' };
  tell({ name: 'preferences:updated', payload: { version, preferences: server } });
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
  server = { favourites: ['missed'], other: 'stays' };
  state.set('reconnecting');
  state.set('connected');
  await vi.runAllTimersAsync();
  expect(saves).toEqual([{ favourites: ['missed', 'b'], other: 'stays' }]);
  expect(shown()).toEqual(['missed', 'b']);
});
