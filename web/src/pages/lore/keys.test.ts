import { describe, expect, it } from 'vitest';
import { keysOf, textOf, wrongKey } from './keys';

describe('the keys of an entry', () => {
  it.each([
    ['reef, Rock ,, storm,', ['reef', 'Rock', 'storm']],
    ['/a{1,2}, b/i, reef', ['/a{1,2}, b/i', 'reef']],
    ['reef, /(one|two),?/', ['reef', '/(one|two),?/']],
    [String.raw`/a\/b, c/, d`, [String.raw`/a\/b, c/`, 'd']],
    ['/home/user, etc', ['/home/user', 'etc']],
    ['/open, end', ['/open', 'end']],
    [String.raw`one\, two, three`, ['one, two', 'three']],
    ['', []],
  ])('of %j are %j', (text, keys) => expect(keysOf(text)).toEqual(keys));

  it('come back from their text', () => {
    const all = [
      ['reef', '/a{1,2}, b/i', 'one, two', String.raw`back\slash`],
      [String.raw`ends\, so`, '/not, one', 'é'],
      ['a{1,2}'],
    ];
    for (const keys of all) expect(keysOf(textOf(keys))).toEqual(keys);
  });

  it('that are regular expressions are looked at', () => {
    expect(wrongKey(['(', 'fine', '/ok[/]/x'], false)).toBeUndefined();
    expect(wrongKey(['/(/i'], false)).toBe('“/(/i” is no regular expression.');
    expect(wrongKey(['('], true)).toBe('“(” is no regular expression.');
    expect(wrongKey(['/a(?=b)/'], false)).toContain('looks around');
    expect(wrongKey([String.raw`/(a)\1/`], false)).toContain('looks around');
    expect(wrongKey([String.raw`/\b(?:reef|rock)s?\b/i`], false)).toBeUndefined();
  });
});
