import { describe, expect, it } from 'vitest';
import { ApiError } from '../../api/client';
import { BLANK, bodyOf, draftOf } from './draft';
import { isFilled, LAST, missing, stepAt, stepOf, STEPS, wrongSteps } from './steps';

const MARA = {
  id: 'mara',
  name: 'Mara',
  description: 'A captain.',
  personality: '',
  scenario: '',
  greeting: 'Ahoy.',
  exampleDialogue: '',
  systemPrompt: '',
  tags: ['sea', 'storm'],
  visibility: 'public' as const,
  avatarUrl: null,
  ownerId: 'u1',
  revision: 3,
  createdAt: '2026-11-23T04:38:48.120Z',
  updatedAt: '2026-11-23T04:38:48.120Z',
  lorebook: { entries: [{ keys: ['reef'], content: 'Sharp.' }], extensions: { odd: 1 } },
};

describe('the steps of a form', () => {
  it('are six, and each field but the step has one', () => {
    const { step: _, ...form } = BLANK;
    expect(STEPS).toHaveLength(6);
    const fields = STEPS.flatMap((one) => one.fields);
    expect([...fields].sort()).toEqual(Object.keys(form).sort());
  });

  it('know where an error of the server belongs', () => {
    expect(stepOf('name')).toBe(0);
    expect(stepOf('lorebook.entries.3.keys')).toBe(4);
    expect(stepOf('alternateGreetings.0')).toBe(2);
    expect(stepOf('something')).toBe(LAST);
    const errors = ['systemPrompt', 'lorebook.entries', 'tags.2', 'name'].map((field) => ({
      field,
      message: 'is wrong',
    }));
    expect(wrongSteps(new ApiError('validation', 'x', { errors }))).toEqual([0, 3, 4]);
    expect(wrongSteps(undefined)).toEqual([]);
  });

  it('are where they were left, whatever was kept', () => {
    expect([3, -1, 99, 2.5, '2', undefined, null, NaN].map(stepAt)).toEqual([3, 0, LAST, 0, 0, 0, 0, 0]);
  });

  it('say what is missing before the server is asked', () => {
    expect(missing(BLANK)?.errors.map(({ field }) => field)).toEqual(['name']);
    expect(missing({ ...BLANK, name: ' Mara ' })).toBeUndefined();
    expect(missing({ ...BLANK, name: 'é'.repeat(101) })?.errors[0]?.field).toBe('name');
    const tags = Array.from({ length: 21 }, (_, n) => `t${n}`).join(',');
    expect(missing({ ...BLANK, name: 'Mara', tags })?.errors[0]?.field).toBe('tags');
  });

  it('know at which something was said', () => {
    const filled = (draft: typeof BLANK) => STEPS.map((_, n) => isFilled(draft, n));
    expect(filled(BLANK)).toEqual([false, false, false, false, false, false]);
    expect(filled(draftOf(MARA))).toEqual([true, true, true, false, true, false]);
  });
});

describe('what is sent', () => {
  it('has neither the step nor what was not changed of the longer parts', () => {
    const start = draftOf(MARA);
    const kept = JSON.parse(JSON.stringify({ ...start, step: 4, name: 'Mara Vale' })) as typeof start;
    const body = bodyOf(kept, start);
    expect(body).toMatchObject({ name: 'Mara Vale', tags: ['sea', 'storm'] });
    expect(Object.keys(body)).not.toEqual(expect.arrayContaining(['lorebook']));
    expect(body).not.toHaveProperty('step');
    expect(body).not.toHaveProperty('avatarUrl');
    const changed = bodyOf({ ...kept, avatarUrl: '/media/x/thumb', nickname: 'Captain' }, start);
    expect(changed).toMatchObject({ avatarUrl: '/media/x/thumb', nickname: 'Captain' });
  });
});
