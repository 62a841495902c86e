/** The steps of a character's form: what belongs to which, and what is wrong where. */
import { ApiError } from '../../api/client';
import type { FieldError } from '../../api/types';
import { tagsOf, type CharacterForm } from './draft';

export interface Step {
  id: 'basics' | 'personality' | 'greetings' | 'instructions' | 'lore' | 'review';
  title: string;
  fields: readonly (keyof CharacterForm)[];
}

export const STEPS: readonly Step[] = [
  { id: 'basics', title: 'Basics', fields: ['name', 'nickname', 'avatarUrl', 'tags', 'visibility'] },
  { id: 'personality', title: 'Personality', fields: ['description', 'personality', 'scenario'] },
  {
    id: 'greetings',
    title: 'Greetings and examples',
    fields: ['greeting', 'alternateGreetings', 'exampleDialogue'],
  },
  {
    id: 'instructions',
    title: 'Instructions',
    fields: ['systemPrompt', 'depthPrompt', 'postHistoryInstructions', 'creatorNotes'],
  },
  { id: 'lore', title: 'Lore book', fields: ['lorebook'] },
  { id: 'review', title: 'Review', fields: [] },
];

export const LAST = STEPS.length - 1;

/** A step that was kept by another version of this page, or by nobody. */
export const stepAt = (step: unknown): number =>
  typeof step === 'number' && Number.isInteger(step) ? Math.min(Math.max(step, 0), LAST) : 0;

/** `name` is of the first step, `lorebook.entries.3` of the fifth; what no step has is of the last. */
export function stepOf(field: string): number {
  const found = STEPS.findIndex(({ fields }) =>
    fields.some((one) => field === one || field.startsWith(`${one}.`)),
  );
  return found === -1 ? LAST : found;
}

/** The steps at which the server found something wrong, in their order. */
export function wrongSteps(error: ApiError | undefined): number[] {
  const steps = new Set((error?.errors ?? []).map(({ field }) => stepOf(field)));
  return [...steps].sort((one, other) => one - other);
}

const MAX_NAME = 100;
const MAX_TAGS = 20;

/** What can be told without the server: whoever goes on is told at once. */
export function missing(form: CharacterForm): ApiError | undefined {
  const errors: FieldError[] = [];
  if (form.name.trim() === '') errors.push({ field: 'name', message: 'A character needs a name.' });
  else if (Array.from(form.name.trim()).length > MAX_NAME)
    errors.push({ field: 'name', message: `The name has more than ${MAX_NAME} characters.` });
  if (tagsOf(form.tags).length > MAX_TAGS)
    errors.push({ field: 'tags', message: `There are more than ${MAX_TAGS} tags.` });
  return errors.length === 0
    ? undefined
    : new ApiError('validation', 'Please look at the marked fields.', { status: 422, errors });
}

/** Whether anything was said at a step. */
export function isFilled(form: CharacterForm, step: number): boolean {
  return (STEPS[step]?.fields ?? []).some((field) => {
    const value = form[field];
    if (field === 'visibility') return false;
    if (typeof value === 'string') return value.trim() !== '';
    if (Array.isArray(value)) return value.length > 0;
    return 'prompt' in value ? value.prompt.trim() !== '' : (value.entries ?? []).length > 0;
  });
}
