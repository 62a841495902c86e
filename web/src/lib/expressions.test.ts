import { expect, test } from 'vitest';
import { MOODS, faceFor, moodOf } from './expressions';

const faces = (...labels: (string | null)[]) => labels.map((expression, id) => ({ id, expression }));
const shown = (labels: (string | null)[], mood?: string) => faceFor(faces(...labels), mood)?.expression;

/** The labels of SillyTavern's classifier. */
const LABELS =
  'admiration amusement anger annoyance approval caring confusion curiosity desire disappointment disapproval disgust ' +
  'embarrassment excitement fear gratitude grief joy love nervousness neutral optimism pride realization relief remorse ' +
  'sadness surprise';

test('every label of the usual set is of a mood', () => {
  for (const label of LABELS.split(' ')) expect(MOODS, label).toContain(moodOf(label));
  expect(moodOf('Happy_2')).toBe('joy');
  expect(moodOf('armour')).toBeUndefined();
});

test('the nearest face is shown', () => {
  expect(shown(['sadness', 'pride', 'joy'], 'joy')).toBe('joy');
  expect(shown(['relief', 'happy', 'sad'], 'joy')).toBe('happy');
  expect(shown(['grief', 'neutral'], 'sadness')).toBe('grief');
});

test('a mood without a face has that of one like it, then the neutral one, then none', () => {
  expect(shown(['neutral', 'love', 'anger'], 'joy')).toBe('love');
  expect(shown(['neutral', 'joy'], 'anger')).toBe('neutral');
  expect(shown(['joy', 'calm'], undefined)).toBe('calm');
  expect(shown(['joy', 'armour', null], 'anger')).toBeUndefined();
  expect(shown([null], 'neutral')).toBeUndefined();
});

test('of two with one label the first is shown', () => {
  expect(faceFor(faces('joy', 'joy'), 'joy')?.id).toBe(0);
});
