/** The draft of a form, in a component: see `draft-keeper.ts`. */
import { useEffect, useState } from 'react';
import { ApiError, http, visitNow } from '../api/client';
import type { Answer } from '../api/types';
import { freshId } from '../lib/id';
import { useStore } from '../lib/store';
import { recall, remember } from '../lib/storage';
import { DraftKeeper, type Copy, type CopyPlace, type DraftPlace, type DraftState } from './draft-keeper';
import { useWho } from './who';

/** A browser lets a call of a page that is closed come to its end if it is no longer than 64 KB together with all others. */
const MOST_BEYOND_CLOSE = 30_000;
/** As long as the server keeps a draft. */
const COPY_LASTS = 24 * 3_600_000;

/** By whose it is: who signs in next finds nothing. Of this tab alone, since another one may have the form open too. */
function copiesOf<T>(user: string, key: string): CopyPlace<T> {
  const name = `form.${user}.${key}`;
  return {
    read: () => {
      try {
        const copy = JSON.parse(recall(name, 'sessionStorage') ?? 'null') as Copy<T> | null;
        return copy !== null && Date.now() - Date.parse(copy.at) < COPY_LASTS ? copy : undefined;
      } catch {
        return undefined;
      }
    },
    write: (copy) => remember(name, copy && JSON.stringify(copy), 'sessionStorage'),
  };
}

function placeOf(key: string): DraftPlace {
  const path = `/api/drafts/${key}`;
  const absent = (error: unknown): undefined => {
    if (error instanceof ApiError && error.code === 'not_found') return undefined;
    throw error;
  };
  return {
    read: () => http.get<Answer<'Draft'>>(path).then(({ draft }) => draft, absent),
    save: (data) => {
      const keepalive = JSON.stringify(data).length < MOST_BEYOND_CLOSE;
      return http.put<Answer<'Draft'>>(path, data, { keepalive }).then(({ draft }) => draft);
    },
    remove: () => http.delete(path).then(() => undefined, absent),
  };
}

/**
 * Forms that were left before all of them was kept, by their keys. Whoever comes back finds them as they were, by whichever way
 * they went: a link, the back button, a key. Asking first would stop some of these ways and not others.
 */
const left = new Map<string, unknown>();

const ask = (event: BeforeUnloadEvent) => event.preventDefault();

/** Who closes the page would lose them: the browser asks first. */
function guard(): void {
  if (left.size > 0) addEventListener('beforeunload', ask);
  else removeEventListener('beforeunload', ask);
}

function forget(key: string): void {
  left.delete(key);
  guard();
}

async function leave<T extends object>(key: string, keeper: DraftKeeper<T>): Promise<void> {
  left.set(key, keeper);
  guard();
  await keeper.leave();
  if (keeper.isKept && left.get(key) === keeper) forget(key);
}

/** They are of somebody who is no longer here. */
export function forgetForms(): void {
  left.clear();
  guard();
}

/** `blank` is what the form begins with where nothing was kept; fields that a kept form lacks are taken from it. */
export function useFormDraft<T extends object>(
  key: string,
  blank: T,
): { keeper: DraftKeeper<T>; state: DraftState<T> } {
  const { user, connection } = useWho();
  const [keeper] = useState(
    () =>
      (left.get(key) as DraftKeeper<T> | undefined) ??
      new DraftKeeper<T>(placeOf(key), blank, freshId(), copiesOf<T>(user.id, key)),
  );
  const state = useStore(keeper.store);

  useEffect(() => {
    const visit = visitNow();
    forget(key);
    void keeper.open();
    return () => {
      // Who signed out leaves nothing to the next.
      if (visit === visitNow()) void leave(key, keeper);
    };
  }, [keeper, key]);

  useEffect(
    () =>
      connection.onEvent((event) => {
        if (event.name === 'draft:updated' && event.payload.key === key)
          void keeper.heard(event.payload.savedAt);
      }),
    [connection, keeper, key],
  );

  // Who closes the page would lose what is not kept: the browser asks first.
  const isAtRisk = state.trouble !== undefined;
  useEffect(() => {
    if (!isAtRisk) return;
    const onClose = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener('beforeunload', onClose);
    return () => removeEventListener('beforeunload', onClose);
  }, [isAtRisk]);

  // Who leaves the page in the middle of a pause loses nothing; who comes back may have missed something.
  useEffect(() => {
    const turn = () => {
      if (document.visibilityState === 'hidden') void keeper.flush();
      else void keeper.look();
    };
    document.addEventListener('visibilitychange', turn);
    return () => document.removeEventListener('visibilitychange', turn);
  }, [keeper]);
  return { keeper, state };
}
