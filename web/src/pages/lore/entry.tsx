/** One entry of a lore book: what it tells, when, and where it stands. */
import { useState } from 'react';
import type { LoreEntry } from '../../api/types';
import { TextArea, TextField } from '../../ui/field';
import { Icon } from '../../ui/icons';
import { keysOf, textOf, wrongKey } from './keys';
import { Check, Choice, NumberField } from './number-field';
import {
  caseCounts,
  chanceOf,
  DEPTH,
  flagOf,
  isOfSillyTavern,
  logicOf,
  numberOf,
  placeOf,
  tellerOf,
  withCase,
  withChance,
  withExtensions,
  withFurtherWords,
  withLogic,
  withPlace,
  withTeller,
  type Logic,
  type Place,
  type Teller,
} from './rules';

const LOGIC: readonly (readonly [Logic, string])[] = [
  ['any', 'One of them must be said too'],
  ['all', 'All of them must be said too'],
  ['none', 'None of them may be said'],
  ['notAll', 'Not all of them may be said'],
  ['off', 'They do not count'],
];

const PLACES: readonly (readonly [Place, string])[] = [
  ['before', 'Before the description'],
  ['after', 'After the description'],
  ['among', 'Among the messages'],
];
const TELLERS: readonly (readonly [Teller, string])[] = [
  ['system', 'The author'],
  ['user', 'The person'],
  ['character', 'The character'],
];
const ELSEWHERE = ['elsewhere', 'Where its card says'] as const;

export function Entry(props: {
  entry: LoreEntry;
  number: number;
  onChange: (entry: LoreEntry) => void;
  onRemove: () => void;
}) {
  const { entry, number, onChange } = props;
  // As they are typed: a comma at the end is no key yet.
  const [words, setWords] = useState(textOf(entry.keys ?? []));
  const bare = entry.useRegex === true && !isOfSillyTavern(entry);
  const title = entry.name || entry.comment;
  return (
    <fieldset className="entry">
      <legend>
        Entry {number}
        {title && <span className="entry__title">: {title}</span>}
      </legend>
      <TextField
        label="Keys"
        hint="Parted by commas. Between slashes a key is a regular expression: /reefs?/i"
        error={wrongKey(entry.keys ?? [], bare)}
        value={words}
        onChange={(event) => {
          setWords(event.target.value);
          onChange({ ...entry, keys: keysOf(event.target.value) });
        }}
      />
      <TextArea
        label="What it tells"
        value={entry.content ?? ''}
        onChange={(event) => onChange({ ...entry, content: event.target.value })}
      />
      <div className="entry__choices">
        <Check
          label="Switched on"
          checked={entry.enabled ?? true}
          onChange={(enabled) => onChange({ ...entry, enabled })}
        />
        <Check
          label="Told always"
          checked={entry.constant ?? false}
          onChange={(constant) => onChange({ ...entry, constant })}
        />
        <button
          type="button"
          className="icon-button"
          aria-label={`Remove entry ${number}`}
          onClick={props.onRemove}
        >
          <Icon name="trash" />
        </button>
      </div>
      <details className="entry__more">
        <summary>When and where it is told</summary>
        <Rules entry={entry} bare={bare} onChange={onChange} />
      </details>
    </fieldset>
  );
}

function Rules({
  entry,
  bare,
  onChange,
}: {
  entry: LoreEntry;
  bare: boolean;
  onChange: (entry: LoreEntry) => void;
}) {
  const [further, setFurther] = useState(textOf(entry.secondaryKeys ?? []));
  const place = placeOf(entry);
  const flag = (name: string, label: string) => (
    <Check
      label={label}
      checked={flagOf(entry, name)}
      onChange={(checked) => onChange(withExtensions(entry, { [name]: checked }))}
    />
  );
  const waits = numberOf(entry, 'delay_until_recursion');
  return (
    <div className="entry__rules">
      <TextField
        label="Name"
        hint="For you; never told."
        value={entry.name ?? ''}
        maxLength={1000}
        onChange={(event) => onChange({ ...entry, name: event.target.value })}
      />
      <TextField
        label="Remark"
        value={entry.comment ?? ''}
        onChange={(event) => onChange({ ...entry, comment: event.target.value })}
      />
      <TextField
        label="Further words"
        hint="Looked for once a key is found."
        error={wrongKey(entry.secondaryKeys ?? [], bare)}
        value={further}
        onChange={(event) => {
          setFurther(event.target.value);
          onChange(withFurtherWords(entry, keysOf(event.target.value)));
        }}
      />
      <Choice
        label="How they count"
        value={logicOf(entry)}
        options={LOGIC}
        onChange={(logic) => onChange(withLogic(entry, logic))}
      />
      <Choice
        label="Where it stands"
        value={place}
        options={place === 'elsewhere' ? [...PLACES, ELSEWHERE] : PLACES}
        onChange={(chosen) => onChange(withPlace(entry, chosen))}
      />
      {place === 'among' && (
        <NumberField
          label="Messages after it"
          value={numberOf(entry, 'depth')}
          usual={String(DEPTH)}
          min={0}
          max={100}
          onChange={(depth) => onChange(withExtensions(entry, { depth: depth ?? DEPTH }))}
        />
      )}
      {place === 'among' && (
        <Choice
          label="Told as if by"
          value={tellerOf(entry)}
          options={TELLERS}
          onChange={(teller) => onChange(withTeller(entry, teller))}
        />
      )}
      <NumberField
        label="Order"
        hint="Lower ones stand earlier."
        value={entry.insertionOrder}
        usual="0"
        onChange={(order) => onChange({ ...entry, insertionOrder: order ?? 0 })}
      />
      <NumberField
        label="Priority"
        hint="Lower ones are left out first."
        value={entry.priority ?? undefined}
        usual="0"
        onChange={(priority) => onChange({ ...entry, priority: priority ?? null })}
      />
      <NumberField
        label="Messages looked through"
        hint="As the book says, unless given."
        value={numberOf(entry, 'scan_depth')}
        min={0}
        max={100}
        onChange={(depth) => onChange(withExtensions(entry, { scan_depth: depth }))}
      />
      <NumberField
        label="Messages it is told on"
        hint="After those in which it was found."
        value={numberOf(entry, 'sticky')}
        usual="0"
        min={0}
        max={100}
        onChange={(sticky) => onChange(withExtensions(entry, { sticky }))}
      />
      <NumberField
        label="Not before this many messages"
        value={numberOf(entry, 'delay')}
        usual="0"
        min={0}
        onChange={(delay) => onChange(withExtensions(entry, { delay }))}
      />
      <NumberField
        label="Chance, in percent"
        value={chanceOf(entry)}
        usual="100"
        min={0}
        max={100}
        onChange={(chance) => onChange(withChance(entry, chance))}
      />
      <div className="entry__flags" role="group" aria-label="How words are looked for">
        <Check
          label="Capital letters count"
          checked={caseCounts(entry)}
          onChange={(counts) => onChange(withCase(entry, counts))}
        />
        {flag('match_whole_words', 'Whole words only')}
        {!isOfSillyTavern(entry) && (
          <Check
            label="All are regular expressions"
            checked={entry.useRegex ?? false}
            onChange={(useRegex) => onChange({ ...entry, useRegex })}
          />
        )}
      </div>
      <div className="entry__flags" role="group" aria-label="Where entries call for others">
        {flag('exclude_recursion', 'Never called for by others')}
        {flag('prevent_recursion', 'Calls for no others')}
        <Check
          label="Only once another calls for it"
          checked={flagOf(entry, 'delay_until_recursion') || (waits !== undefined && waits > 0)}
          onChange={(checked) => onChange(withExtensions(entry, { delay_until_recursion: checked }))}
        />
      </div>
    </div>
  );
}
