/**
 * Which rows of a long transcript stand in the page: so many around what one reads, however far one has scrolled back. The rest
 * is kept as messages, and becomes rows again when one comes near.
 */
import type { Row } from './rows';

/** Rows that stand in the page at the most: several screens, also of a large one. */
export const MOST_ROWS = 240;
/** So many come in on one side, and go on the other. */
export const STEP_ROWS = 80;

/** The key of the last row that is shown; undefined where that is the last of all, and follows what comes. */
export type WindowEnd = string | undefined;

export interface RowWindow {
  rows: readonly Row[];
  /** Rows that are here, and stand above or below. */
  above: number;
  below: number;
}

export function rowWindow(rows: readonly Row[], end: WindowEnd): RowWindow {
  const found = end === undefined ? -1 : rows.findIndex(({ key }) => key === end);
  const to = found < 0 ? rows.length : found + 1;
  const from = Math.max(0, to - MOST_ROWS);
  return { rows: rows.slice(from, to), above: from, below: rows.length - to };
}

/** The end of a window that holds this row, with others on both sides; rows of days do not stay, and end none. */
export function endAround(rows: readonly Row[], at: number): WindowEnd {
  const last = Math.max(at + MOST_ROWS / 2, MOST_ROWS - 1);
  for (let n = last; n < rows.length - 1; n += 1) {
    const row = rows[n];
    if (row !== undefined && row.kind !== 'day') return row.key;
  }
  return undefined;
}

/** The end of the window a step further up, or down. */
export function endMoved(rows: readonly Row[], window: RowWindow, up: boolean): WindowEnd {
  const to = window.above + window.rows.length;
  const from = up ? Math.max(0, window.above - STEP_ROWS) : Math.min(window.above + STEP_ROWS, to);
  return endAround(rows, from + MOST_ROWS / 2 - 1);
}
