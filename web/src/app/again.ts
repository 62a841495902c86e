/** Reading again by itself, once a connection is back that was lost. */
import { useEffect, useEffectEvent } from 'react';
import type { ApiError } from '../api/client';
import { useWho } from './who';

/** What may have changed while nothing was heard. */
export function useOnceBack(act: () => void): void {
  const { connection } = useWho();
  const retry = useEffectEvent(act);
  useEffect(() => {
    const isLost = () => ['reconnecting', 'offline'].includes(connection.state.get());
    let wasLost = isLost();
    return connection.state.subscribe(() => {
      if (wasLost && connection.state.get() === 'connected') retry();
      wasLost = isLost();
    });
  }, [connection]);
}

/** What could not be read because the server was out of reach. */
export function useAgainOnceBack(error: ApiError | undefined, again: () => void): void {
  const { connection } = useWho();
  const retry = useEffectEvent(again);
  const isOutOfReach = error?.code === 'offline' || error?.code === 'unavailable';
  useEffect(() => {
    if (!isOutOfReach) return;
    return connection.state.subscribe(() => {
      if (connection.state.get() === 'connected') retry();
    });
  }, [isOutOfReach, connection]);
}
