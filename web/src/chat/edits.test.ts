import { beforeEach, describe, expect, it } from 'vitest';
import { enterPerson, forgetPerson } from '../lib/storage';
import { editOf, recallEdits, rememberEdits, wasChanged } from './edits';
import { CONVERSATION, message } from './model';

const EDITS = {
  m2: { ...editOf(message(2)), text: 'In other words' },
  m3: { ...editOf(message(3)), text: 'What it should say' },
};
const recalled = () => recallEdits(CONVERSATION);

beforeEach(() => {
  localStorage.clear();
  enterPerson('anna');
  rememberEdits(CONVERSATION, EDITS);
});

it('what was being edited comes back, and of no other conversation', () => {
  expect(recalled()).toEqual(EDITS);
  expect(recallEdits('c2')).toEqual({});
  rememberEdits(CONVERSATION, {});
  expect(recalled()).toEqual({});
});

it('what was being edited is there for the same person again, and not for the next', () => {
  enterPerson('anna');
  expect(recalled()).toEqual(EDITS);
  enterPerson('ben');
  expect(recalled()).toEqual({});
  enterPerson('anna');
  expect(recalled()).toEqual({});
});

it('what was being edited is forgotten by who signs out', () => {
  forgetPerson();
  expect(recalled()).toEqual({});
});

describe('what is edited', () => {
  const two = (selected: number, text: string) =>
    message(3, { role: 'character', text, variants: { count: 2, selected } });
  const mine = { ...editOf(two(0, 'The sea.')), text: 'The wide sea.' };

  it('is as it was until another variant is chosen, or it says something else', () => {
    expect(wasChanged(mine, two(0, 'The sea.'))).toBe(false);
    expect(wasChanged(mine, two(1, 'The lamp.'))).toBe(true);
    expect(wasChanged(mine, two(0, 'The sea, and the lamp.'))).toBe(true);
    // Two variants may say the same.
    expect(wasChanged(mine, two(1, 'The sea.'))).toBe(true);
  });

  it('was changed where it got its second variant', () => {
    const only = editOf(message(3, { role: 'character', text: 'The sea.' }));
    expect(wasChanged(only, two(1, 'The lamp.'))).toBe(true);
    expect(wasChanged(only, two(0, 'The sea.'))).toBe(false);
  });

  it('was not changed where it says what one would have it say', () => {
    expect(wasChanged(mine, two(0, 'The wide sea.'))).toBe(false);
  });
});
