/** The draft of a form, in a component: see `draft-keeper.ts`. */
import { useEffect, useState } from 'react';
import { ApiError, http } from '../api/client';
import type { Answer } from '../api/types';
import { freshId } from '../lib/id';
import { useStore } from '../lib/store';
import { DraftKeeper, type DraftPlace, type DraftState } from './draft-keeper';
import { useWho } from './who';

function placeOf(key: string): DraftPlace {
  const path = `/api/drafts/${key}`;
  const absent = (error: unknown): undefined => {
    if (error instanceof ApiError && error.code === 'not_found') return undefined;
    throw error;
  };
  return {
    read: () => http.get<Answer<'Draft'>>(path).then(({ draft }) => draft, absent),
    save: (data) => http.put<Answer<'Draft'>>(path, data).then(({ draft }) => draft),
    remove: () => http.delete(path).then(() => undefined, absent),
  };
}

/** `blank` is what the form begins with where nothing was kept; fields that a kept form lacks are taken from it. */
export function useFormDraft<T extends object>(
  key: string,
  blank: T,
): { keeper: DraftKeeper<T>; state: DraftState<T> } {
  const { connection } = useWho();
  const [keeper] = useState(() => new DraftKeeper<T>(placeOf(key), blank, freshId()));
  const state = useStore(keeper.store);

  useEffect(() => {
    void keeper.open();
  }, [keeper]);

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
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener('beforeunload', ask);
    return () => removeEventListener('beforeunload', ask);
  }, [isAtRisk]);

  // Who leaves the page in the middle of a pause loses nothing; who comes back may have missed something.
  useEffect(() => {
    const turn = () => {
      if (document.visibilityState === 'hidden') void keeper.flush();
      else void keeper.look();
    };
    document.addEventListener('visibilitychange', turn);
    return () => {
      document.removeEventListener('visibilitychange', turn);
      void keeper.flush();
    };
  }, [keeper]);
  return { keeper, state };
}
