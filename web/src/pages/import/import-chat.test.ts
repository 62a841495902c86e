import { describe, expect, it } from 'vitest';
import { outcomeOf } from './import-chat';

describe('what came of a chat', () => {
  it.each([
    [1, 0, '1 message came.'],
    [12, 0, '12 messages came.'],
    [2, 1, '2 messages came. 1 line without anything said was left out.'],
    [2, 3, '2 messages came. 3 lines without anything said were left out.'],
  ])('is told: %i, and %i left out', (messages, leftOut, told) =>
    expect(outcomeOf({ messages, leftOut })).toBe(told),
  );
});
