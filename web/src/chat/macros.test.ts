import { describe, expect, it } from 'vitest';
import { expandMacros } from './macros';

const names = { character: 'Ma$&ra', user: 'Robin', persona: 'A smith.' };
const told = (text: string) => expandMacros(text, names);

describe('macros of a greeting', () => {
  it.each([
    ['{{char}} meets {{USER}}, <bot> and <User>', 'Ma$&ra meets Robin, Ma$&ra and Robin'],
    ['Who? {{Persona}}', 'Who? A smith.'],
    ['a{{// note}}b{{hidden_key:reef}}c{{comment: {{user}}}}d', 'abcd'],
    ['{{{char}}} {{original}} {{get:{{user}}}} {{ {', '{Ma$&ra} {{original}} {{get:Robin}} {{ {'],
    ['{{reverse:{{user}} é}}', 'é niboR'],
    ['{{random:same,same}} {{pick::{{user}}::Robin}}', 'same Robin'],
    ['{{roll:1}} {{roll:3d1}} {{roll:0}} {{roll:{{user}}}}', '1 3 {{roll:0}} {{roll:{{user}}}}'],
    ['<b> {x} }} <', '<b> {x} }} <'],
    ['{{ char }}{{newline}}{{ User}}{{noop}}!', 'Ma$&ra\nRobin!'],
    ['a\n\r\n{{trim}}\n\nb{{ TRIM }}c {{trim}}\n', 'abc '],
  ])('%j is %j', (text, expected) => expect(told(text)).toBe(expected));

  it('draw one of what is given, and the same for the same text', () => {
    const drawn = new Set<string>();
    for (let n = 0; n < 60; n += 1) {
      const text = `${n} {{random:a,b\\, c,{{user}}}}`;
      expect(told(text)).toBe(told(text));
      drawn.add(told(text).replace(/^\d+ /, ''));
      const rolled = Number(told(`{{roll:2d6}}{{// ${n}}}`));
      expect(rolled >= 2 && rolled <= 12).toBe(true);
    }
    expect([...drawn].sort()).toEqual(['Robin', 'a', 'b, c']);
  });

  it('put names in as they are', () => {
    const hostile = { character: '{{user}}', user: '{{char}}', persona: '{{random:x}}' };
    expect(expandMacros('{{char}} {{user}} {{persona}} {{pick:<user>}}', hostile)).toBe(
      '{{user}} {{char}} {{random:x}} {{char}}',
    );
  });

  it('take their length and no more', () => {
    const began = Date.now();
    for (const text of ['{{'.repeat(10_000), '{{reverse:'.repeat(2_000), '}}'.repeat(10_000)])
      expect(told(text)).toBe(text);
    const nested = (open: string) => `${open.repeat(2_000)}x${'}}'.repeat(2_000)}`;
    told(nested('{{reverse:'));
    for (const open of ['{{roll:', '{{roll:2d', '{{x', '{{x:{{roll:'])
      expect(told(nested(open))).toBe(nested(open));
    expect(Date.now() - began).toBeLessThan(5_000);
  });
});
