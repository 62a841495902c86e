import { describe, expect, it } from 'vitest';
import type { LoreEntry } from '../../api/types';
import {
  caseCounts,
  chanceOf,
  extensionsOf,
  isOfSillyTavern,
  logicOf,
  placeOf,
  tellerOf,
  withCase,
  withChance,
  withExtensions,
  withFurtherWords,
  withLogic,
  withPlace,
  withTeller,
} from './rules';

/** As SillyTavern writes one, with what nobody here knows. */
const THEIRS: LoreEntry = {
  keys: ['C++'],
  useRegex: true,
  secondaryKeys: ['ship'],
  selective: true,
  position: 'before_char',
  extra: {
    id: 7,
    x_unknown: [1],
    extensions: {
      position: 0,
      display_index: 3,
      exclude_recursion: false,
      selectiveLogic: 3,
      case_sensitive: null,
      probability: 40,
      useProbability: true,
      vectorized: false,
      x_odd: { a: 1 },
    },
  },
};

describe('the rules of an entry', () => {
  it('are read from where programs write them', () => {
    expect([isOfSillyTavern(THEIRS), logicOf(THEIRS), placeOf(THEIRS), chanceOf(THEIRS)]).toEqual([
      true,
      'all',
      'before',
      40,
    ]);
    expect([isOfSillyTavern({}), logicOf({}), placeOf({}), chanceOf({}), caseCounts({})]).toEqual([
      false,
      'any',
      'before',
      100,
      false,
    ]);
    expect(logicOf({ secondaryKeys: ['a'], selective: false })).toBe('off');
    expect(placeOf({ extra: { extensions: { position: 7 } } })).toBe('elsewhere');
    expect(extensionsOf({ extra: { extensions: [1] } })).toEqual({});
  });

  it('are changed one by one, and the rest stays as it is', () => {
    const changes = [
      withLogic(THEIRS, 'none'),
      withPlace(THEIRS, 'among'),
      withCase(THEIRS, true),
      withChance(THEIRS, 5),
      withFurtherWords(THEIRS, ['storm']),
      withExtensions(THEIRS, { scan_depth: 2 }),
    ];
    for (const changed of changes) {
      expect(changed).not.toEqual(THEIRS);
      expect(changed.extra).toMatchObject({ id: 7, x_unknown: [1] });
      expect(extensionsOf(changed)).toMatchObject({ display_index: 3, vectorized: false, x_odd: { a: 1 } });
      expect(isOfSillyTavern(changed)).toBe(true);
    }
    expect(extensionsOf(withLogic(THEIRS, 'none')).selectiveLogic).toBe(2);
    expect(caseCounts(withCase(THEIRS, true))).toBe(true);
    expect(chanceOf(withChance(THEIRS, undefined))).toBe(100);
  });

  it('never make an entry another program’s', () => {
    const own: LoreEntry = { keys: ['reef'] };
    const changed = withPlace(
      withLogic(withFurtherWords(withChance(withCase(own, true), 50), ['ship']), 'notAll'),
      'among',
    );
    expect(isOfSillyTavern(withExtensions(changed, { exclude_recursion: true }))).toBe(false);
  });

  it('say where an entry stands, and go back', () => {
    const among = withPlace({ position: 'before_char' }, 'among');
    expect([placeOf(among), extensionsOf(among).depth, among.position]).toEqual(['among', 4, 'after_char']);
    const before = withPlace(among, 'before');
    expect([placeOf(before), before.position, extensionsOf(before).position]).toEqual([
      'before',
      'before_char',
      0,
    ]);
    expect(withPlace({}, 'after')).toEqual({ position: 'after_char' });
  });

  it('say by whom an entry among the messages is told, and nothing where that goes without saying', () => {
    expect(tellerOf({})).toBe('system');
    expect(withTeller({}, 'system')).toEqual({});
    const told = withTeller({}, 'character');
    expect([tellerOf(told), extensionsOf(told).role]).toEqual(['character', 2]);
    expect(extensionsOf(withTeller(told, 'system')).role).toBe(0);
    const unknown = { extra: { extensions: { role: 7 } } };
    expect(tellerOf(unknown)).toBe('system');
  });

  it('count further words from the first one on, unless they were there and did not', () => {
    expect(withFurtherWords({}, ['ship']).selective).toBe(true);
    expect(withFurtherWords({ secondaryKeys: ['ship'], selective: false }, ['ship', 'storm']).selective).toBe(
      false,
    );
    expect(withFurtherWords({ secondaryKeys: ['ship'], selective: true }, []).selective).toBe(true);
    expect(withLogic({ secondaryKeys: ['a'] }, 'any')).toEqual({ secondaryKeys: ['a'], selective: true });
    expect(withLogic({ secondaryKeys: ['a'], selective: true }, 'off').selective).toBe(false);
  });
});
