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

  it('come back from their text, whatever stands beside them', () => {
    const all = [
      'reef',
      'a, b',
      ',',
      '\\',
      '\\\\',
      '/',
      '/open',
      'end/',
      'x/i',
      '/home/user',
      '//',
      '\\/',
      '\\\\/a',
      'ends\\',
      '\\,',
      '\\\\,/',
      '/a, b/ c',
      '/a\\',
      '/a\\/',
      '/a\\/, c/',
      '/re+f/i',
      '/a{1,2}, b\\\\/',
      '\\bword\\b',
      'é 王',
    ];
    for (const one of all)
      for (const two of all)
        for (const three of all) {
          const keys = [one, two, three];
          for (const some of [keys, keys.slice(1), keys.slice(2)]) expect(keysOf(textOf(some))).toEqual(some);
        }
    expect(textOf(['/home/user', '\\bword\\b', ' reef '])).toBe('/home/user, \\bword\\b, reef');
    expect(keysOf(textOf(['', ' reef ', '\t']))).toEqual(['reef']);
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
