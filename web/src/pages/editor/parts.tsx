/** The fields of each step of a character's form. */
import type { ApiError } from '../../api/client';
import { PictureField } from '../../app/picture';
import { fieldError, TextArea, TextField } from '../../ui/field';
import { Greetings } from '../character-details';
import { Lore } from '../lore/book';
import { Choice, NumberField } from '../lore/number-field';
import { USUAL_DEPTH, type CharacterForm } from './draft';

type TextName = Exclude<
  keyof CharacterForm,
  'alternateGreetings' | 'depthPrompt' | 'lorebook' | 'visibility'
>;

export interface PartProps {
  form: CharacterForm;
  error: ApiError | undefined;
  onChange: (change: Partial<CharacterForm>) => void;
}

const bindTo = (props: PartProps) => (field: TextName) => ({
  value: props.form[field],
  onChange: (event: { target: { value: string } }) => props.onChange({ [field]: event.target.value }),
  error: fieldError(props.error, field),
});

export function Basics(props: PartProps) {
  const { form, onChange } = props;
  const bind = bindTo(props);
  return (
    <>
      <TextField label="Name" required maxLength={100} {...bind('name')} />
      <PictureField
        name={form.name}
        url={form.avatarUrl}
        error={fieldError(props.error, 'avatarUrl')}
        onChange={(avatarUrl) => onChange({ avatarUrl })}
      />
      <div className="form__pair">
        <TextField label="Tags" hint="Parted by commas" placeholder="adventure, sea" {...bind('tags')} />
        <TextField
          label="Nickname"
          hint="What {{char}} stands for, if not the name."
          maxLength={100}
          {...bind('nickname')}
        />
      </div>
      <TextField
        label="Address of the picture"
        hint="Of one that lies elsewhere."
        inputMode="url"
        placeholder="https://"
        {...bind('avatarUrl')}
        error={undefined}
      />
      <fieldset className="choices">
        <legend>Who may meet it</legend>
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
              checked={form.visibility === value}
              onChange={() => onChange({ visibility: value })}
            />
            <span>
              {label}
              <small>{about}</small>
            </span>
          </label>
        ))}
      </fieldset>
    </>
  );
}

export function Nature(props: PartProps) {
  const bind = bindTo(props);
  return (
    <>
      <TextArea label="Description" hint="What people read before they say hello." {...bind('description')} />
      <TextArea label="Personality" hint="Traits, and the way of speaking." {...bind('personality')} />
      <TextArea label="Scenario" hint="Where the two of you are when it begins." {...bind('scenario')} />
    </>
  );
}

export function Beginnings(props: PartProps) {
  const bind = bindTo(props);
  return (
    <>
      <TextArea label="Greeting" hint="The first message of every conversation." {...bind('greeting')} />
      <Greetings
        texts={props.form.alternateGreetings}
        error={fieldError(props.error, 'alternateGreetings')}
        onChange={(alternateGreetings) => props.onChange({ alternateGreetings })}
      />
      <TextArea
        label="Example dialogue"
        hint="Turns that start with {{char}}: and {{user}}:, parted by <START>. The best help for a small model."
        {...bind('exampleDialogue')}
      />
    </>
  );
}

export function Instructions(props: PartProps) {
  const bind = bindTo(props);
  return (
    <>
      <TextArea
        label="System prompt"
        hint="Instructions to the model; leave it empty for the usual ones."
        {...bind('systemPrompt')}
      />
      <NoteFields {...props} />
      <TextArea
        label="Last instructions"
        hint="Told to the model after the messages, where it heeds them most."
        {...bind('postHistoryInstructions')}
      />
      <TextArea
        label="Notes"
        hint="For those who use the character; never told to the model."
        {...bind('creatorNotes')}
      />
    </>
  );
}

const TELLERS = [
  ['system', 'The system'],
  ['user', 'The user'],
  ['assistant', 'The character'],
] as const;

function NoteFields({ form, error, onChange }: PartProps) {
  const note = form.depthPrompt;
  return (
    <>
      <TextArea
        label="Note among the messages"
        hint="Told again in every prompt, so close to what was said last that it is heeded."
        value={note.prompt}
        error={fieldError(error, 'depthPrompt')}
        onChange={(event) => onChange({ depthPrompt: { ...note, prompt: event.target.value } })}
      />
      {note.prompt.trim() !== '' && (
        <div className="form__pair">
          <NumberField
            label="Messages after it"
            value={note.depth}
            usual={String(USUAL_DEPTH)}
            min={0}
            max={10_000}
            onChange={(depth) => onChange({ depthPrompt: { ...note, depth: depth ?? USUAL_DEPTH } })}
          />
          <Choice
            label="Told as if by"
            value={note.role}
            options={TELLERS}
            onChange={(role) => onChange({ depthPrompt: { ...note, role } })}
          />
        </div>
      )}
    </>
  );
}

export function LoreBook(props: PartProps) {
  return (
    <Lore
      book={props.form.lorebook}
      error={fieldError(props.error, 'lorebook')}
      onChange={(lorebook) => props.onChange({ lorebook })}
    />
  );
}
