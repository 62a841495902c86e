/** What could not be read because the server was out of reach is read again, by itself, once the connection is back. */
import { useEffect, useEffectEvent } from 'react';
import type { ApiError } from '../api/client';
import { useWho } from './who';

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
