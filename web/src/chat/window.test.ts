import { expect, test } from 'vitest';
import type { Row } from './rows';
import { endAround, endMoved, MOST_ROWS, rowWindow, STEP_ROWS, type WindowEnd } from './window';

/** A day before every tenth. */
const made = (from: number, to: number): Row[] =>
  Array.from({ length: to - from }, (_, n) => from + n).flatMap((n) => {
    const said = { kind: 'unsent', key: `m${n}`, follows: false, last: true } as unknown as Row;
    return n % 10 === 0 ? [{ kind: 'day', key: `day-${n}`, at: '' }, said] : [said];
  });

const keys = (rows: readonly Row[], end: WindowEnd) => rowWindow(rows, end).rows.map(({ key }) => key);

test('a short transcript stands in the page whole', () => {
  const rows = made(0, 100);
  expect(rowWindow(rows, undefined)).toEqual({ rows, above: 0, below: 0 });
  expect(endAround(rows, 3)).toBeUndefined();
});

test('of a long one the last rows stand there, and what comes is added', () => {
  const rows = made(0, 1_000);
  expect(keys(rows, undefined)).toHaveLength(MOST_ROWS);
  expect(keys(rows, undefined).at(-1)).toBe('m999');
  expect(keys(made(0, 1_001), undefined).at(-1)).toBe('m1000');
});

test('a window moves through all rows, up and down, without a gap', () => {
  const rows = made(0, 1_000);
  const seen = new Set(keys(rows, undefined));
  let end: WindowEnd;
  for (let steps = 0; rowWindow(rows, end).above > 0; steps += 1) {
    const before = rowWindow(rows, end);
    end = endMoved(rows, before, true);
    const now = rowWindow(rows, end);
    expect(now.rows.length).toBeLessThanOrEqual(MOST_ROWS);
    expect(before.above - now.above).toBeGreaterThan(0);
    // What one reads, at the upper edge of it, stays.
    expect(now.rows).toContain(before.rows[0]);
    for (const key of keys(rows, end)) seen.add(key);
    expect(steps).toBeLessThan(rows.length / STEP_ROWS + 2);
  }
  expect(seen.size).toBe(rows.length);
  for (let steps = 0; end !== undefined; steps += 1) {
    const before = rowWindow(rows, end);
    end = endMoved(rows, before, false);
    expect(rowWindow(rows, end).rows).toContain(before.rows.at(-1));
    expect(steps).toBeLessThan(rows.length / STEP_ROWS + 2);
  }
});

test('what is shown stays where older rows come in before it, and where its end is gone the last rows are shown', () => {
  const rows = made(500, 1_000);
  const end = endAround(rows, 200);
  const before = keys(rows, end);
  expect(before.filter((key) => !key.startsWith('day'))).toEqual(
    keys(made(400, 1_000), end)
      .filter((key) => !key.startsWith('day'))
      .slice(-before.filter((key) => !key.startsWith('day')).length),
  );
  expect(keys(rows, 'not there').at(-1)).toBe('m999');
});

test('a row far up stands in the page with what is around it', () => {
  const rows = made(0, 1_000);
  for (const at of [0, 5, 120, 500, rows.length - 1]) {
    const { rows: shown } = rowWindow(rows, endAround(rows, at));
    expect(shown).toContain(rows[at]);
    expect(shown.length).toBe(MOST_ROWS);
  }
});
