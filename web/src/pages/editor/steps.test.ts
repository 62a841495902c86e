import { describe, expect, it } from 'vitest';
import { ApiError } from '../../api/client';
import { BLANK, bodyOf, changed, conflictsIn, draftOf, isNews, resumed, yielded } from './draft';
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
    expect(isFilled({ ...BLANK, depthPrompt: { prompt: ' ', depth: 0, role: 'user' } }, 3)).toBe(false);
    expect(isFilled({ ...BLANK, depthPrompt: { prompt: 'x', depth: 4, role: 'system' } }, 3)).toBe(true);
    const filled = (draft: typeof BLANK) => STEPS.map((_, n) => isFilled(draft, n));
    expect(filled(BLANK)).toEqual([false, false, false, false, false, false]);
    expect(filled(draftOf(MARA))).toEqual([true, true, true, false, true, false]);
  });
});

describe('what is sent', () => {
  /** As it comes back from where it was kept. */
  const kept = <T>(draft: T) => JSON.parse(JSON.stringify(draft)) as T;
  const start = resumed(draftOf(MARA), draftOf(MARA));

  it('is what was changed, and what it was changed to', () => {
    const draft = kept(changed(changed(start, { step: 4 }), { name: 'Mara Vale', tags: 'sea, fog' }));
    expect(bodyOf(draft, start)).toEqual({ name: 'Mara Vale', tags: ['sea', 'fog'] });
    const more = changed(draft, { avatarUrl: ' /media/x/thumb ', nickname: 'Captain' });
    expect(bodyOf(more, start)).toMatchObject({ avatarUrl: '/media/x/thumb', nickname: 'Captain' });
    expect(bodyOf(changed(more, { name: 'Mara' }), start)).not.toHaveProperty('name');
  });

  it('leaves alone what was changed elsewhere meanwhile', () => {
    const now = draftOf({ ...MARA, avatarUrl: '/media/y/thumb', greeting: 'Welcome aboard.' });
    const draft = resumed(kept(changed(start, { description: 'An admiral.' })), now);
    expect(draft).toMatchObject({ avatarUrl: '/media/y/thumb', greeting: 'Welcome aboard.' });
    expect(conflictsIn(draft, now)).toEqual([]);
    expect(bodyOf(draft, now)).toEqual({ description: 'An admiral.' });
  });

  it('is known to take the place of what was changed elsewhere, unless it says the same', () => {
    const draft = kept(changed(start, { description: 'An admiral.', lorebook: {} }));
    const now = draftOf({ ...MARA, description: 'A pilot.' });
    expect(conflictsIn(draft, start)).toEqual([]);
    expect(conflictsIn(resumed(draft, now), now)).toEqual(['description']);
    expect(bodyOf(resumed(draft, now), now)).toEqual({ description: 'An admiral.', lorebook: {} });
    expect(conflictsIn(draft, draftOf({ ...MARA, description: 'An admiral.' }))).toEqual([]);
    expect([isNews(draft, start, now), isNews(draft, now, now)]).toEqual([true, false]);
    expect(isNews(draft, now, draftOf({ ...MARA, description: 'A cook.' }))).toBe(true);
    const given = yielded(draft, 'description', now);
    expect([conflictsIn(given, now), bodyOf(given, now)]).toEqual([[], { lorebook: {} }]);
  });

  it('is all that differs, of a form that an earlier page kept', () => {
    const { began: _, ...old } = { ...start, name: 'Mara Vale', step: 2 };
    expect(bodyOf(resumed(old, draftOf(MARA)), draftOf(MARA))).toEqual({ name: 'Mara Vale' });
    // It knew of no notes.
    const { depthPrompt: __, ...older } = old;
    const noted = draftOf({ ...MARA, depthPrompt: { prompt: 'Be dry.', depth: 2 } });
    const draft = resumed(older as typeof old, noted);
    expect(draft.depthPrompt).toEqual({ prompt: 'Be dry.', depth: 2, role: 'system' });
    expect(bodyOf(draft, noted)).toEqual({ name: 'Mara Vale' });
  });
});
