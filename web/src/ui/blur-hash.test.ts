import { describe, expect, test } from 'vitest';
import { blurPixels } from './blur-hash';

describe('a blur hash', () => {
  test('without waves is its average colour everywhere', () => {
    // 1 by 1 components, and the colour #ff0000 in base 83.
    const red = blurPixels('00TI:j', 2, 2);
    expect([...(red ?? [])]).toEqual(Array(4).fill([255, 0, 0, 255]).flat());
  });

  test('with waves has colours that differ', () => {
    const pixels = blurPixels('LEHV6nWB2yk8pyo0adR*.7kCMdnj', 8, 8);
    expect(pixels).toHaveLength(8 * 8 * 4);
    expect(new Set(pixels).size).toBeGreaterThan(10);
  });

  test('that is none has no pixels', () => {
    for (const hash of ['', 'short', 'LEHV6nWB2yk8pyo0adR*.7kCMdn', 'LEHV6nWB2yk8pyo0adR*.7kCMdn"'])
      expect(blurPixels(hash, 8, 8)).toBeUndefined();
  });
});
