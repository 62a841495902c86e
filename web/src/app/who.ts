/** The signed-in person and their connection, for everything inside the shell. */
import { createContext, use } from 'react';
import type { Session } from './session';

export type Who = Extract<Session, { status: 'in' }>;

export const WhoContext = createContext<Who | undefined>(undefined);

export function useWho(): Who {
  const who = use(WhoContext);
  if (who === undefined) throw new Error('useWho is for pages of the signed-in');
  return who;
}
