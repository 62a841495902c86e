import { beforeEach, expect, it } from 'vitest';
import { enterPerson, forgetPerson } from '../lib/storage';
import { recallEdits, rememberEdits } from './edits';
import { CONVERSATION, message } from './model';

const EDITS = { m2: { text: 'In other words' }, m3: { text: 'What it should say' } };
const MESSAGES = [message(1), message(2), message(3)];
const recalled = () => recallEdits(CONVERSATION, MESSAGES);

beforeEach(() => {
  localStorage.clear();
  enterPerson('anna');
  rememberEdits(CONVERSATION, EDITS);
});

it('what was being edited comes back with its messages, and of no other conversation', () => {
  expect(recalled()).toEqual(EDITS);
  expect(recallEdits(CONVERSATION, MESSAGES.slice(0, 2))).toEqual({ m2: EDITS.m2 });
  expect(recallEdits('c2', MESSAGES)).toEqual({});
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
