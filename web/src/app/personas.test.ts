import { describe, expect, it } from 'vitest';
import type { Persona } from '../api/types';
import { withPersona } from './personas';

const persona = (id: string, more: Partial<Persona> = {}): Persona => ({
  id,
  name: id,
  description: '',
  avatarUrl: null,
  isDefault: false,
  revision: 1,
  createdAt: '2026-11-23T04:38:48.120Z',
  updatedAt: '2026-11-23T04:38:48.120Z',
  ...more,
});

describe('a saved persona', () => {
  it('takes its place in the list, or the last one', () => {
    const all = [persona('a'), persona('b')];
    expect(withPersona(all, persona('a', { name: 'A' })).map(({ name }) => name)).toEqual(['A', 'b']);
    expect(withPersona(all, persona('c')).map(({ id }) => id)).toEqual(['a', 'b', 'c']);
  });

  it('that is the default leaves no other', () => {
    const all = [persona('a', { isDefault: true }), persona('b')];
    const now = withPersona(all, persona('b', { isDefault: true }));
    expect(now.filter(({ isDefault }) => isDefault).map(({ id }) => id)).toEqual(['b']);
    expect(withPersona(all, persona('b')).filter(({ isDefault }) => isDefault)).toHaveLength(1);
    expect(withPersona(all, persona('a')).some(({ isDefault }) => isDefault)).toBe(false);
  });
});
