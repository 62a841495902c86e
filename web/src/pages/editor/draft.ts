/** What the form of a character holds, and what of it is sent. */
import type { Character, Lorebook } from '../../api/types';

/** A text among the messages of every prompt; one without a text is none. */
export interface Note {
  prompt: string;
  /** How many messages come after it. */
  depth: number;
  role: 'system' | 'user' | 'assistant';
}

export const USUAL_DEPTH = 4;
const NO_NOTE: Note = { prompt: '', depth: USUAL_DEPTH, role: 'system' };

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
  depthPrompt: Note;
  creatorNotes: string;
  alternateGreetings: string[];
  lorebook: Lorebook;
}

type Field = keyof CharacterForm;

/** What each field that a person changed said before they did, as `markOf` has it. */
type Began = Partial<Record<Field, string>>;

/** The form with the step that one is at. */
export interface CharacterDraft extends CharacterForm {
  step: number;
  began: Began;
}

/** As it is kept. What an earlier version of this page kept does not say what was changed in it. */
export type KeptDraft = CharacterForm & { step: number; began?: Began };

export const BLANK: KeptDraft = {
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
  depthPrompt: NO_NOTE,
  creatorNotes: '',
  alternateGreetings: [],
  lorebook: {},
};

export const draftOf = (character: Character): KeptDraft => ({
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
  depthPrompt: { ...NO_NOTE, ...character.depthPrompt },
  creatorNotes: character.creatorNotes ?? '',
  alternateGreetings: character.alternateGreetings ?? [],
  lorebook: character.lorebook ?? {},
});

/** What was kept and came back is another object, and may say the same. */
const isSame = (one: unknown, other: unknown) =>
  one === other || JSON.stringify(one) === JSON.stringify(other);

export const tagsOf = (text: string): string[] =>
  text
    .split(',')
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '');

/** Tells one value of a field from another (FNV-1a): the value itself may be long, and a draft has no room for it twice. */
function markOf(value: unknown): string {
  let hash = 0x811c9dc5;
  const text = JSON.stringify(value);
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return `${text.length} ${(hash >>> 0).toString(36)}`;
}

const FIELDS = Object.keys(BLANK).filter((name) => name !== 'step') as Field[];

/** The draft with what somebody changed in it. */
export function changed(draft: CharacterDraft, change: Partial<CharacterDraft>): CharacterDraft {
  const fresh = FIELDS.filter((field) => field in change && !(field in draft.began));
  const began = Object.fromEntries(fresh.map((field) => [field, markOf(draft[field])]));
  return { ...draft, ...change, began: { ...draft.began, ...began } };
}

/** A draft that was kept, as one goes on with it: what nobody changed in it is as the character has it now. */
export function resumed(kept: KeptDraft, now: CharacterForm): CharacterDraft {
  const { began = changed({ ...kept, ...now, began: {} }, differing(kept, now)).began } = kept;
  const untouched = FIELDS.filter((field) => !(field in began));
  return { ...kept, ...only(now, untouched), began };
}

const only = (form: CharacterForm, fields: readonly Field[]): Partial<CharacterForm> =>
  Object.fromEntries(fields.map((field) => [field, form[field]]));

const differing = (form: CharacterForm, other: CharacterForm): Partial<CharacterForm> =>
  only(
    form,
    // What an earlier version of this page kept may lack a field.
    FIELDS.filter((field) => field in form && !isSame(form[field], other[field])),
  );

/** Fields that would be put in the place of what they say `now`. */
const changesIn = (draft: CharacterDraft, now: CharacterForm): Field[] =>
  FIELDS.filter((field) => field in draft.began && !isSame(draft[field], now[field]));

/** Fields that somebody else, or the person in another place, changed since the draft was begun, and the draft as well. */
export const conflictsIn = (draft: CharacterDraft, now: CharacterForm): Field[] =>
  changesIn(draft, now).filter((field) => draft.began[field] !== markOf(now[field]));

/** Whether anything would be overwritten that was not told while the character said `known`. */
export const isNews = (draft: CharacterDraft, known: CharacterForm, now: CharacterForm): boolean => {
  const told = conflictsIn(draft, known);
  return conflictsIn(draft, now).some((field) => !told.includes(field) || !isSame(known[field], now[field]));
};

/** The draft with what a field says `now`, as if nobody had changed it here. */
export function yielded(draft: CharacterDraft, field: Field, now: CharacterForm): CharacterDraft {
  const { [field]: _, ...began } = draft.began;
  return { ...draft, [field]: now[field], began };
}

/**
 * The body of the call that saves `draft` over what the character says `now`: what was changed, and nothing else. The rest
 * may be long, may have been changed elsewhere, and a card may say more of it than this page shows.
 */
export function bodyOf(draft: CharacterDraft, now: CharacterForm): Record<string, unknown> {
  const sent = { ...draft, tags: tagsOf(draft.tags), avatarUrl: draft.avatarUrl.trim() };
  return Object.fromEntries(changesIn(draft, now).map((field) => [field, sent[field]]));
}
