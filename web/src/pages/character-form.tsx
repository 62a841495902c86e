/** Writing a character, or changing one's own, on one page. */
import { useState, type SyntheticEvent } from 'react';
import { useLocation } from 'wouter';
import { ApiError, http } from '../api/client';
import type { Character } from '../api/types';
import { characters, loadCharacter, takeCharacters } from '../app/library';
import { useFormDraft } from '../app/form-draft';
import { useWho } from '../app/who';
import { useAction, useLoad } from '../lib/load';
import { useStore } from '../lib/store';
import { fieldError, TextArea, TextField } from '../ui/field';
import { Failure, FormError, Loading, Notice } from '../ui/notice';
import { Page } from '../ui/page';

type Draft = Omit<
  Character,
  'id' | 'ownerId' | 'tags' | 'avatarUrl' | 'revision' | 'createdAt' | 'updatedAt'
> & {
  tags: string;
  avatarUrl: string;
};

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
};

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
  const character = useStore(characters)[id];
  const { error, again } = useLoad(character === undefined ? id : undefined, () => loadCharacter(id));
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
          start={{ ...character, tags: character.tags.join(', '), avatarUrl: character.avatarUrl ?? '' }}
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
  const form = useFormDraft(draftKey, fields(props.start));
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
        typed={isFresh ? fields(props.start) : form.start}
        keep={form.keep}
        drop={form.drop}
      />
    </>
  );
}

/** What the form holds, and nothing else of a character. */
function fields(of: Draft): Draft {
  const { name, description, personality, scenario, greeting, exampleDialogue, systemPrompt } = of;
  const { tags, visibility, avatarUrl } = of;
  return {
    name,
    description,
    personality,
    scenario,
    greeting,
    exampleDialogue,
    systemPrompt,
    tags,
    visibility,
    avatarUrl,
  };
}

function CharacterForm(props: FormProps & { typed: Draft; keep: (draft: Draft) => void; drop: () => void }) {
  const [draft, setTyped] = useState(props.typed);
  const setDraft = (next: Draft) => {
    setTyped(next);
    props.keep(next);
  };
  const [, go] = useLocation();
  const { busy, error, run } = useAction();
  const bind = (field: keyof Draft) => ({
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
        ...(draft.avatarUrl.trim() !== props.start.avatarUrl && { avatarUrl: draft.avatarUrl.trim() }),
      });
      props.drop();
      takeCharacters([character]);
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
