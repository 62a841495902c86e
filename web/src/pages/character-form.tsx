/** Writing a character, or changing one's own, on one page. */
import { useState, type SyntheticEvent } from 'react';
import { useLocation } from 'wouter';
import { ApiError, http } from '../api/client';
import type { Character, Lorebook } from '../api/types';
import { useFormDraft } from '../app/form-draft';
import { loadWholeCharacter, takeWholeCharacter, useWholeCharacter } from '../app/library';
import { useWho } from '../app/who';
import { useAction, useLoad } from '../lib/load';
import { fieldError, TextArea, TextField } from '../ui/field';
import { Failure, FormError, Loading, Notice } from '../ui/notice';
import { Page } from '../ui/page';
import { Greetings, Lore } from './character-details';

interface Draft {
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

const BLANK: Draft = {
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

const draftOf = (character: Character): Draft => ({
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

export function NewCharacterPage() {
  return (
    <Page title="New character" width="narrow" back={{ to: '/characters', label: 'All characters' }}>
      <KeptForm
        draftKey="new-character"
        start={BLANK}
        action="Create character"
        save={(body) => http.post('/api/characters', body)}
      />
    </Page>
  );
}

export function EditCharacterPage({ id }: { id: string }) {
  const { user } = useWho();
  const character = useWholeCharacter(id);
  const { error, again } = useLoad(character === undefined ? id : undefined, () => loadWholeCharacter(id));
  const notMine = new ApiError('not_found', 'Only the one who wrote a character can change it.');
  return (
    <Page
      title={character === undefined ? 'Edit' : `Edit ${character.name}`}
      width="narrow"
      back={{ to: `/characters/${id}`, label: 'Back to the character' }}
    >
      {error ? (
        <Failure error={error} onRetry={again} />
      ) : character === undefined ? (
        <Loading />
      ) : character.ownerId !== user.id ? (
        <Failure error={notMine} />
      ) : (
        <KeptForm
          draftKey={`edit-${id}`.slice(0, 128)}
          start={draftOf(character)}
          action="Save changes"
          save={(body) => http.patch(`/api/characters/${id}`, body)}
        />
      )}
    </Page>
  );
}

interface FormProps {
  start: Draft;
  action: string;
  save: (body: unknown) => Promise<{ character: Character }>;
}

/** The form with what was typed into it before, here or on another device. */
function KeptForm({ draftKey, ...props }: FormProps & { draftKey: string }) {
  const form = useFormDraft(draftKey, props.start);
  const [isFresh, setFresh] = useState(false);
  if (form.start === undefined) return <Loading />;
  const startOver = () => {
    form.drop();
    setFresh(true);
  };
  return (
    <>
      {form.restored && !isFresh && (
        <Notice>
          You go on where you left this form.{' '}
          <button type="button" className="button" onClick={startOver}>
            Start over
          </button>
        </Notice>
      )}
      <CharacterForm
        key={isFresh ? 'fresh' : 'kept'}
        {...props}
        typed={isFresh ? props.start : form.start}
        keep={form.keep}
        drop={form.drop}
      />
    </>
  );
}

function CharacterForm(props: FormProps & { typed: Draft; keep: (draft: Draft) => void; drop: () => void }) {
  const [start] = useState(props.start);
  const [draft, setTyped] = useState(props.typed);
  const setDraft = (next: Draft) => {
    setTyped(next);
    props.keep(next);
  };
  const [, go] = useLocation();
  const { busy, error, run } = useAction();
  const bind = (field: Exclude<keyof Draft, 'alternateGreetings' | 'lorebook'>) => ({
    value: draft[field],
    onChange: (event: { target: { value: string } }) => setDraft({ ...draft, [field]: event.target.value }),
    error: fieldError(error, field),
  });
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    void run(async () => {
      const { character } = await props.save({
        name: draft.name,
        description: draft.description,
        personality: draft.personality,
        scenario: draft.scenario,
        greeting: draft.greeting,
        exampleDialogue: draft.exampleDialogue,
        systemPrompt: draft.systemPrompt,
        visibility: draft.visibility,
        tags: draft.tags
          .split(',')
          .map((tag) => tag.trim())
          .filter((tag) => tag !== ''),
        ...(draft.avatarUrl.trim() !== start.avatarUrl && { avatarUrl: draft.avatarUrl.trim() }),
        ...Object.fromEntries(
          DETAILS.filter((field) => !isSame(draft[field], start[field])).map((field) => [
            field,
            draft[field],
          ]),
        ),
      });
      takeWholeCharacter(character);
      props.drop();
      go(`/characters/${character.id}`);
    });
  };
  return (
    <form className="form" onSubmit={submit}>
      <section className="group">
        <h2>Who it is</h2>
        <TextField label="Name" required maxLength={100} {...bind('name')} />
        <TextArea
          label="Description"
          hint="What people read before they say hello."
          {...bind('description')}
        />
        <div className="form__pair">
          <TextField label="Tags" hint="Parted by commas" placeholder="adventure, sea" {...bind('tags')} />
          <TextField
            label="Picture"
            hint="An https address"
            inputMode="url"
            placeholder="https://"
            {...bind('avatarUrl')}
          />
        </div>
      </section>
      <section className="group">
        <h2>How it talks</h2>
        <TextArea label="Personality" hint="Traits, and the way of speaking." {...bind('personality')} />
        <TextArea label="Scenario" hint="Where the two of you are when it begins." {...bind('scenario')} />
        <TextArea label="Greeting" hint="The first message of every conversation." {...bind('greeting')} />
        <Greetings
          texts={draft.alternateGreetings}
          error={fieldError(error, 'alternateGreetings')}
          onChange={(alternateGreetings) => setDraft({ ...draft, alternateGreetings })}
        />
        <TextArea
          label="Example dialogue"
          hint="Turns that start with {{char}}: and {{user}}:, parted by <START>. The best help for a small model."
          {...bind('exampleDialogue')}
        />
        <TextArea
          label="System prompt"
          hint="Instructions to the model; leave it empty for the usual ones."
          {...bind('systemPrompt')}
        />
        <TextArea
          label="Last instructions"
          hint="Told to the model after the messages, where it heeds them most."
          {...bind('postHistoryInstructions')}
        />
        <TextField
          label="Nickname"
          hint="What {{char}} stands for, if not the name."
          maxLength={100}
          {...bind('nickname')}
        />
      </section>
      <Lore
        book={draft.lorebook}
        error={fieldError(error, 'lorebook')}
        onChange={(lorebook) => setDraft({ ...draft, lorebook })}
      />
      <section className="group">
        <h2>For people</h2>
        <TextArea
          label="Notes"
          hint="For those who use the character; never told to the model."
          {...bind('creatorNotes')}
        />
      </section>
      <fieldset className="group choices">
        <legend className="sr-only">Who may meet it</legend>
        <h2 aria-hidden="true">Who may meet it</h2>
        {(
          [
            ['private', 'Only you', 'Nobody else finds it.'],
            ['public', 'Everyone on this server', 'It is listed, and anybody may talk with it.'],
          ] as const
        ).map(([value, label, about]) => (
          <label className="choice" key={value}>
            <input
              type="radio"
              name="visibility"
              value={value}
              checked={draft.visibility === value}
              onChange={() => setDraft({ ...draft, visibility: value })}
            />
            <span>
              {label}
              <small>{about}</small>
            </span>
          </label>
        ))}
      </fieldset>
      <FormError error={error} />
      <div className="form__actions">
        <button type="submit" className="button button--primary" disabled={busy || draft.name.trim() === ''}>
          {busy ? 'Saving…' : props.action}
        </button>
      </div>
    </form>
  );
}
