/** The texts of characters as the one who reads them is told them: with names in the place of macros. */
import type { Character } from '../api/types';
import { expandMacros } from '../chat/macros';
import { useLoad } from '../lib/load';
import { useStore } from '../lib/store';
import { loadPersonas, personas } from './personas';
import { useWho } from './who';

export function useTold(): (text: string, character: Pick<Character, 'name' | 'nickname'>) => string {
  const { user } = useWho();
  const own = useStore(personas);
  // Until they are known, and where they cannot be, the name of the account does.
  useLoad(own === undefined ? 'personas' : undefined, loadPersonas);
  const played = own?.find((persona) => persona.isDefault);
  return (text, { name, nickname }) => {
    // A card that is not saved yet may have an empty one.
    const called = nickname ?? '';
    const names = { character: called === '' ? name : called, user: played?.name ?? user.displayName };
    const persona = expandMacros(played?.description ?? '', names);
    return expandMacros(text, { ...names, persona });
  };
}
