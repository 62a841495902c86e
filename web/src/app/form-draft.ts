/**
 * A form that is kept on the server while it is filled in, so that it goes on after a reload, or on another device, for a
 * day from its last change.
 */
import { useCallback, useEffect, useRef, useState } from 'react';
import { http } from '../api/client';

interface Kept<T> {
  draft: { data: T; savedAt: string };
}

/** After the last key: each save is a call, and calls are counted. */
const PAUSE = 2_500;

export interface FormDraft<T> {
  /** Undefined until it was looked for. */
  start: T | undefined;
  /** Whether `start` is what was kept. */
  restored: boolean;
  /** Keeps this, a little later. */
  keep: (value: T) => void;
  /** It is done, or given up. */
  drop: () => void;
}

/** `blank` is what the form begins with where nothing was kept; fields that a kept form lacks are taken from it. */
export function useFormDraft<T extends object>(key: string, blank: T): FormDraft<T> {
  const [found, setFound] = useState<{ start: T; restored: boolean }>();
  const [first] = useState(blank);
  const waiting = useRef<T>(undefined);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const path = `/api/drafts/${key}`;

  useEffect(() => {
    const abort = new AbortController();
    http.get<Kept<Partial<T>>>(path, {}, { signal: abort.signal }).then(
      ({ draft }) => setFound({ start: { ...first, ...draft.data }, restored: true }),
      () => {
        // None is kept, or it cannot be read now: the form is of more use than the draft.
        if (!abort.signal.aborted) setFound({ start: first, restored: false });
      },
    );
    return () => abort.abort();
  }, [path, first]);

  const save = useCallback(() => {
    clearTimeout(timer.current);
    const value = waiting.current;
    waiting.current = undefined;
    if (value !== undefined) void http.put(path, value).catch(() => undefined);
  }, [path]);

  // Who leaves the page in the middle of a pause loses nothing.
  useEffect(() => {
    const leave = () => {
      if (document.visibilityState === 'hidden') save();
    };
    document.addEventListener('visibilitychange', leave);
    return () => {
      document.removeEventListener('visibilitychange', leave);
      save();
    };
  }, [save]);

  const keep = useCallback(
    (value: T) => {
      waiting.current = value;
      clearTimeout(timer.current);
      timer.current = setTimeout(save, PAUSE);
    },
    [save],
  );
  const drop = useCallback(() => {
    clearTimeout(timer.current);
    waiting.current = undefined;
    void http.delete(path).catch(() => undefined);
  }, [path]);
  return { start: found?.start, restored: found?.restored === true, keep, drop };
}
