/** Reading something when a component shows, and doing something when a person asks. */
import { useCallback, useEffect, useEffectEvent, useState } from 'react';
import { asApiError, type ApiError } from '../api/client';

interface Loaded {
  key: string;
  error: ApiError | undefined;
}

/**
 * Runs `load` for each new `key`; what it reads belongs into a store. An undefined key reads nothing. The outcome is
 * that of the present key, never of an earlier one that came late.
 */
export function useLoad(key: string | undefined, load: (signal: AbortSignal) => Promise<unknown>) {
  const [attempt, setAttempt] = useState(0);
  const [outcome, setOutcome] = useState<Loaded>();
  const begin = useEffectEvent(load);
  const wanted = key === undefined ? undefined : `${attempt} ${key}`;
  useEffect(() => {
    if (wanted === undefined) return;
    const abort = new AbortController();
    const settle = (error?: unknown) => {
      if (!abort.signal.aborted)
        setOutcome({ key: wanted, error: error === undefined ? undefined : asApiError(error) });
    };
    begin(abort.signal).then(() => settle(), settle);
    return () => abort.abort();
  }, [wanted]);
  const isDone = outcome !== undefined && outcome.key === wanted;
  const again = useCallback(() => setAttempt((count) => count + 1), []);
  return { pending: wanted !== undefined && !isDone, error: isDone ? outcome.error : undefined, again };
}

/** Something that a person starts with a press: whether it runs, and how it failed. */
export function useAction() {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const run = async (action: () => Promise<unknown>): Promise<boolean> => {
    setBusy(true);
    setError(undefined);
    try {
      await action();
      return true;
    } catch (failure) {
      setError(asApiError(failure));
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { busy, error, run };
}
