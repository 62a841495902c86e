/** What the form of a character holds, and what of it is sent. */
import type { Character, Lorebook } from '../../api/types';

export interface CharacterForm {
  name: string;
  description: string;
  personality: string;
  scenario: string;
  greeting: string;
  exampleDialogue: string;
  systemPrompt: string;
  visibility: Character['visibility'];
  tags: string;
  avatarUrl: string;
  nickname: string;
  postHistoryInstructions: string;
  creatorNotes: string;
  alternateGreetings: string[];
  lorebook: Lorebook;
}

/** The form with the step that one is at. */
export interface CharacterDraft extends CharacterForm {
  step: number;
}

export const BLANK: CharacterDraft = {
  step: 0,
  name: '',
  description: '',
  personality: '',
  scenario: '',
  greeting: '',
  exampleDialogue: '',
  systemPrompt: '',
  tags: '',
  visibility: 'private',
  avatarUrl: '',
  nickname: '',
  postHistoryInstructions: '',
  creatorNotes: '',
  alternateGreetings: [],
  lorebook: {},
};

export const draftOf = (character: Character): CharacterDraft => ({
  step: 0,
  name: character.name,
  description: character.description,
  personality: character.personality,
  scenario: character.scenario,
  greeting: character.greeting,
  exampleDialogue: character.exampleDialogue,
  systemPrompt: character.systemPrompt,
  visibility: character.visibility,
  tags: character.tags.join(', '),
  avatarUrl: character.avatarUrl ?? '',
  nickname: character.nickname ?? '',
  postHistoryInstructions: character.postHistoryInstructions ?? '',
  creatorNotes: character.creatorNotes ?? '',
  alternateGreetings: character.alternateGreetings ?? [],
  lorebook: character.lorebook ?? {},
});

/** What is sent only where it was changed: it may be long, and a card may say more of it than this page shows. */
const DETAILS = [
  'nickname',
  'postHistoryInstructions',
  'creatorNotes',
  'alternateGreetings',
  'lorebook',
] as const;

/** What was kept and came back is another object, and may say the same. */
const isSame = (one: unknown, other: unknown) =>
  one === other || JSON.stringify(one) === JSON.stringify(other);

export const tagsOf = (text: string): string[] =>
  text
    .split(',')
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '');

/** The body of the call that saves `draft`, which began as `start`. */
export function bodyOf(draft: CharacterForm, start: CharacterForm): Record<string, unknown> {
  return {
    name: draft.name,
    description: draft.description,
    personality: draft.personality,
    scenario: draft.scenario,
    greeting: draft.greeting,
    exampleDialogue: draft.exampleDialogue,
    systemPrompt: draft.systemPrompt,
    visibility: draft.visibility,
    tags: tagsOf(draft.tags),
    ...(draft.avatarUrl.trim() !== start.avatarUrl && { avatarUrl: draft.avatarUrl.trim() }),
    ...Object.fromEntries(
      DETAILS.filter((field) => !isSame(draft[field], start[field])).map((field) => [field, draft[field]]),
    ),
  };
}
