/**
 * What an entry of a lore book says beside its fields: in `extensions`, as SillyTavern and others write it. What is not
 * shown here stays as it is.
 */
import type { LoreEntry } from '../../api/types';

type Extensions = Readonly<Record<string, unknown>>;

export function extensionsOf(entry: LoreEntry): Extensions {
  const said = entry.extra?.extensions;
  return typeof said === 'object' && said !== null && !Array.isArray(said) ? (said as Extensions) : {};
}

/** `undefined` takes the name away. */
export function withExtensions(entry: LoreEntry, changes: Extensions): LoreEntry {
  const all = { ...extensionsOf(entry), ...changes };
  const extensions = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  return { ...entry, extra: { ...entry.extra, extensions } };
}

/**
 * SillyTavern says of all keys that they are regular expressions, and takes for one only what stands between slashes. The
 * server tells its entries by the same marks, which are written nowhere here.
 */
export function isOfSillyTavern(entry: LoreEntry): boolean {
  const said = extensionsOf(entry);
  return typeof said.display_index === 'number' || typeof said.vectorized === 'boolean';
}

export const flagOf = (entry: LoreEntry, name: string): boolean => extensionsOf(entry)[name] === true;

export function numberOf(entry: LoreEntry, name: string): number | undefined {
  const value = extensionsOf(entry)[name];
  return typeof value === 'number' ? value : undefined;
}

/** How the further words count; `off`: they are there, and not looked at. */
export type Logic = 'off' | 'any' | 'all' | 'none' | 'notAll';

const LOGIC: readonly Logic[] = ['any', 'notAll', 'none', 'all'];

export function logicOf(entry: LoreEntry): Logic {
  if (!entry.selective) return (entry.secondaryKeys ?? []).length > 0 ? 'off' : 'any';
  return LOGIC[numberOf(entry, 'selectiveLogic') ?? 0] ?? 'any';
}

export function withLogic(entry: LoreEntry, logic: Logic): LoreEntry {
  if (logic === 'off') return { ...entry, selective: false };
  const number = LOGIC.indexOf(logic);
  // Any of them is what is meant where nothing is said.
  const isSaid = number !== 0 || numberOf(entry, 'selectiveLogic') !== undefined;
  const next = { ...entry, selective: true };
  return isSaid ? withExtensions(next, { selectiveLogic: number }) : next;
}

/** The first of the further words makes them count. */
export function withFurtherWords(entry: LoreEntry, secondaryKeys: string[]): LoreEntry {
  const had = (entry.secondaryKeys ?? []).length > 0;
  return { ...entry, secondaryKeys, selective: had ? (entry.selective ?? false) : secondaryKeys.length > 0 };
}

export const caseCounts = (entry: LoreEntry): boolean => {
  const said = extensionsOf(entry).case_sensitive;
  return typeof said === 'boolean' ? said : (entry.caseSensitive ?? false);
};

export function withCase(entry: LoreEntry, caseSensitive: boolean): LoreEntry {
  const next = { ...entry, caseSensitive };
  return extensionsOf(entry).case_sensitive === undefined
    ? next
    : withExtensions(next, { case_sensitive: caseSensitive });
}

/** `elsewhere`: where another program has a place of its own for it. */
export type Place = 'before' | 'after' | 'among' | 'elsewhere';

/** How deep among the messages an entry stands that does not say. */
export const DEPTH = 4;

export function placeOf(entry: LoreEntry): Place {
  const position = numberOf(entry, 'position');
  if (position === 4) return 'among';
  if (position !== undefined && position > 1) return 'elsewhere';
  return entry.position === 'after_char' ? 'after' : 'before';
}

export function withPlace(entry: LoreEntry, place: Place): LoreEntry {
  if (place === 'elsewhere') return entry;
  if (place === 'among') {
    const depth = numberOf(entry, 'depth') ?? DEPTH;
    return withExtensions({ ...entry, position: 'after_char' }, { position: 4, depth });
  }
  const next: LoreEntry = { ...entry, position: place === 'after' ? 'after_char' : 'before_char' };
  return numberOf(entry, 'position') === undefined
    ? next
    : withExtensions(next, { position: place === 'after' ? 1 : 0 });
}

/** By whom an entry among the messages is told. */
export type Teller = 'system' | 'user' | 'character';

const TELLERS: readonly Teller[] = ['system', 'user', 'character'];

export const tellerOf = (entry: LoreEntry): Teller => TELLERS[numberOf(entry, 'role') ?? 0] ?? 'system';

export function withTeller(entry: LoreEntry, teller: Teller): LoreEntry {
  const number = TELLERS.indexOf(teller);
  // The system's is what is meant where nothing is said.
  const isSaid = number !== 0 || numberOf(entry, 'role') !== undefined;
  return isSaid ? withExtensions(entry, { role: number }) : entry;
}

/** In percent. */
export function chanceOf(entry: LoreEntry): number {
  return extensionsOf(entry).useProbability === false ? 100 : (numberOf(entry, 'probability') ?? 100);
}

export function withChance(entry: LoreEntry, chance: number | undefined): LoreEntry {
  const isSaid = numberOf(entry, 'probability') !== undefined;
  if (chance === undefined && !isSaid) return entry;
  return withExtensions(entry, { probability: chance ?? 100, useProbability: true });
}
