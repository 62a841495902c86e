/** The lore book of a character's form. */
import { useState } from 'react';
import type { LoreEntry, Lorebook } from '../../api/types';
import { useRows } from '../../lib/rows';
import { TextField } from '../../ui/field';
import { Icon } from '../../ui/icons';
import { Entry } from './entry';
import { Check, NumberField } from './number-field';

/** Entries that are shown at once: a book may have thousands. */
const SHOWN = 50;

export function Lore(props: {
  book: Lorebook;
  error: string | undefined;
  onChange: (book: Lorebook) => void;
}) {
  const { book, onChange } = props;
  const entries = book.entries ?? [];
  const [shown, setShown] = useState(SHOWN);
  const { keys, added, removed } = useRows(entries.length);
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
      {entries.length > 0 && <Whole book={book} onChange={onChange} />}
    </div>
  );
}

function Whole({ book, onChange }: { book: Lorebook; onChange: (book: Lorebook) => void }) {
  return (
    <fieldset className="entry">
      <legend>The whole book</legend>
      <div className="entry__rules">
        <TextField
          label="Name of the book"
          value={book.name ?? ''}
          maxLength={1000}
          onChange={(event) => onChange({ ...book, name: event.target.value })}
        />
        <NumberField
          label="Messages looked through by all"
          hint="The last ones; 0: none."
          value={book.scanDepth ?? undefined}
          usual="4"
          min={0}
          max={100}
          onChange={(depth) => onChange({ ...book, scanDepth: depth ?? null })}
        />
        <NumberField
          label="Tokens it may take"
          hint="A quarter of the prompt at most."
          value={book.tokenBudget ?? undefined}
          usual="A quarter"
          min={0}
          max={1_000_000}
          onChange={(budget) => onChange({ ...book, tokenBudget: budget ?? null })}
        />
      </div>
      <Check
        label="Entries may call for other entries"
        checked={book.recursiveScanning ?? false}
        onChange={(recursiveScanning) => onChange({ ...book, recursiveScanning })}
      />
    </fieldset>
  );
}
