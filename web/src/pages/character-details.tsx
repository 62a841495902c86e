/** Parts of the form of a character: its other greetings, and what it knows of its world. */
import { useRef, useState } from 'react';
import type { LoreEntry, Lorebook } from '../api/types';
import { TextArea, TextField } from '../ui/field';
import { Icon } from '../ui/icons';

/** Lists change by adding and removing only, so a number that is given once names a row for good. */
function useKeys(count: number) {
  const [keys, setKeys] = useState(() => Array.from({ length: count }, (_, n) => n));
  const next = useRef(count);
  const added = () => {
    setKeys((now) => [...now, next.current]);
    next.current += 1;
  };
  const removed = (at: number) => setKeys((now) => now.filter((_, n) => n !== at));
  return { keys, added, removed };
}

export function Greetings(props: {
  texts: string[];
  error: string | undefined;
  onChange: (texts: string[]) => void;
}) {
  const { texts, onChange } = props;
  const { keys, added, removed } = useKeys(texts.length);
  return (
    <div className="several" role="group" aria-label="Other greetings">
      {texts.map((text, n) => (
        <div className="several__one" key={keys[n]}>
          <TextArea
            label={`Other greeting ${n + 1}`}
            value={text}
            onChange={(event) => onChange(texts.map((old, m) => (m === n ? event.target.value : old)))}
          />
          <button
            type="button"
            className="icon-button"
            aria-label={`Remove other greeting ${n + 1}`}
            onClick={() => {
              removed(n);
              onChange(texts.filter((_, m) => m !== n));
            }}
          >
            <Icon name="trash" />
          </button>
        </div>
      ))}
      {props.error && <p className="field__error">{props.error}</p>}
      <button
        type="button"
        className="button several__add"
        onClick={() => {
          added();
          onChange([...texts, '']);
        }}
      >
        <Icon name="plus" /> Add another greeting
      </button>
    </div>
  );
}

/** Entries that are shown at once: a book may have thousands. */
const SHOWN = 50;

const keysOf = (text: string): string[] =>
  text
    .split(',')
    .map((key) => key.trim())
    .filter((key) => key !== '');

export function Lore(props: {
  book: Lorebook;
  error: string | undefined;
  onChange: (book: Lorebook) => void;
}) {
  const { book, onChange } = props;
  const entries = book.entries ?? [];
  const [shown, setShown] = useState(SHOWN);
  const { keys, added, removed } = useKeys(entries.length);
  const change = (next: LoreEntry[]) => onChange({ ...book, entries: next });
  return (
    <div className="several">
      <p className="field__hint">
        What the character knows of its world. An entry is told to the model when one of its keys was said
        lately.
      </p>
      {entries.slice(0, shown).map((entry, n) => (
        <Entry
          key={keys[n]}
          entry={entry}
          number={n + 1}
          onChange={(next) => change(entries.map((old, m) => (m === n ? next : old)))}
          onRemove={() => {
            removed(n);
            change(entries.filter((_, m) => m !== n));
          }}
        />
      ))}
      {entries.length > shown && (
        <button type="button" className="button" onClick={() => setShown(shown + SHOWN)}>
          Show more of {entries.length} entries
        </button>
      )}
      {props.error && <p className="field__error">{props.error}</p>}
      <button
        type="button"
        className="button several__add"
        onClick={() => {
          added();
          setShown(Math.max(shown, entries.length + 1));
          change([...entries, { keys: [], content: '', enabled: true, insertionOrder: entries.length }]);
        }}
      >
        <Icon name="plus" /> Add an entry
      </button>
      {entries.length > 0 && (
        <label className="check">
          <input
            type="checkbox"
            checked={book.recursiveScanning ?? false}
            onChange={(event) => onChange({ ...book, recursiveScanning: event.target.checked })}
          />
          Entries may call for other entries
        </label>
      )}
    </div>
  );
}

function Entry(props: {
  entry: LoreEntry;
  number: number;
  onChange: (entry: LoreEntry) => void;
  onRemove: () => void;
}) {
  const { entry, number, onChange } = props;
  // As it is typed: a comma at its end is no key yet.
  const [words, setWords] = useState((entry.keys ?? []).join(', '));
  return (
    <fieldset className="entry">
      <legend>Entry {number}</legend>
      <div className="entry__head">
        <TextField
          label="Keys"
          hint="Parted by commas"
          value={words}
          onChange={(event) => {
            setWords(event.target.value);
            onChange({ ...entry, keys: keysOf(event.target.value) });
          }}
        />
        <TextField
          label="Order"
          type="number"
          value={entry.insertionOrder ?? 0}
          onChange={(event) =>
            onChange({ ...entry, insertionOrder: Math.trunc(Number(event.target.value)) || 0 })
          }
        />
      </div>
      <TextArea
        label="What it tells"
        value={entry.content ?? ''}
        onChange={(event) => onChange({ ...entry, content: event.target.value })}
      />
      <div className="entry__choices">
        <label className="check">
          <input
            type="checkbox"
            checked={entry.enabled ?? true}
            onChange={(event) => onChange({ ...entry, enabled: event.target.checked })}
          />
          Switched on
        </label>
        <label className="check">
          <input
            type="checkbox"
            checked={entry.constant ?? false}
            onChange={(event) => onChange({ ...entry, constant: event.target.checked })}
          />
          Told always
        </label>
        <button
          type="button"
          className="icon-button"
          aria-label={`Remove entry ${number}`}
          onClick={props.onRemove}
        >
          <Icon name="trash" />
        </button>
      </div>
    </fieldset>
  );
}
