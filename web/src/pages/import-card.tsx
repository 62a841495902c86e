/** A character from a card: chosen, pasted or dropped anywhere on the page, looked at, and only then saved. */
import { useEffect, useEffectEvent, useRef, useState } from 'react';
import { useLocation } from 'wouter';
import { asApiError, http, type ApiError } from '../api/client';
import type { CardPreview, ImportedCharacter } from '../api/types';
import { takeWholeCharacter } from '../app/library';
import { plainText } from '../chat/words';
import { useAction } from '../lib/load';
import { Dialog } from '../ui/dialog';
import { Icon } from '../ui/icons';
import { Notice } from '../ui/notice';

const ACCEPTED = '.png,.apng,.json,.charx,image/png,application/json';
const IMPORT = '/api/characters/import';

function form(file: File): FormData {
  const data = new FormData();
  data.append('file', file);
  return data;
}

export function ImportCard() {
  const [file, setFile] = useState<File>();
  const [isOver, setIsOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);

  /** True when there was a file, which then is looked at. */
  const take = (files: FileList | null | undefined): boolean => {
    const first = files?.[0];
    if (first === undefined || document.querySelector('dialog[open]') !== null) return false;
    setFile(first);
    return true;
  };
  const onPaste = useEffectEvent((event: ClipboardEvent) => {
    if (take(event.clipboardData?.files)) event.preventDefault();
  });
  const onDrag = useEffectEvent((event: DragEvent) => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    setIsOver(true);
  });
  const onDrop = useEffectEvent((event: DragEvent) => {
    setIsOver(false);
    if (take(event.dataTransfer?.files)) event.preventDefault();
  });
  const onLeave = useEffectEvent((event: DragEvent) => {
    if (event.relatedTarget === null) setIsOver(false);
  });
  useEffect(() => {
    const control = new AbortController();
    const { signal } = control;
    document.addEventListener('paste', (event) => onPaste(event), { signal });
    document.addEventListener('dragover', (event) => onDrag(event), { signal });
    document.addEventListener('dragleave', (event) => onLeave(event), { signal });
    document.addEventListener('drop', (event) => onDrop(event), { signal });
    return () => control.abort();
  }, []);

  return (
    <>
      <button type="button" className="button" onClick={() => input.current?.click()}>
        <Icon name="down" /> Import a card
      </button>
      <input
        ref={input}
        type="file"
        className="sr-only"
        accept={ACCEPTED}
        tabIndex={-1}
        aria-hidden="true"
        data-import
        onChange={(event) => {
          take(event.target.files);
          // The same file again is a choice too.
          event.target.value = '';
        }}
      />
      {isOver && (
        <div className="drop-sign" aria-hidden="true">
          Drop the card here
        </div>
      )}
      {file !== undefined && <Preview file={file} onClose={() => setFile(undefined)} />}
    </>
  );
}

function Preview({ file, onClose }: { file: File; onClose: () => void }) {
  const [preview, setPreview] = useState<CardPreview>();
  const [error, setError] = useState<ApiError>();
  const [, go] = useLocation();
  const saving = useAction();
  const [saved, setSaved] = useState<{ id: string; told: readonly string[] }>();

  useEffect(() => {
    const control = new AbortController();
    http.post<CardPreview>(`${IMPORT}?preview=true`, form(file), { signal: control.signal }).then(
      (read) => setPreview(read),
      (reason: unknown) => {
        if (!control.signal.aborted) setError(asApiError(reason));
      },
    );
    return () => control.abort();
  }, [file]);

  const save = () =>
    saving.run(async () => {
      const made = await http.post<ImportedCharacter>(IMPORT, form(file));
      takeWholeCharacter(made.character);
      // What only saving could tell, of its pictures, is to be read before the way goes on.
      const told = made.warnings.filter((warning) => !preview?.warnings.includes(warning));
      if (told.length > 0) setSaved({ id: made.character.id, told });
      else go(`/characters/${made.character.id}`);
    });

  if (saved !== undefined) {
    const { id, told } = saved;
    return (
      <Dialog
        title={`${preview?.character.name ?? 'The card'} was imported`}
        onClose={() => go(`/characters/${id}`)}
      >
        <Warnings warnings={told} />
        <div className="dialog__actions">
          <button type="button" className="button button--primary" onClick={() => go(`/characters/${id}`)}>
            Go on
          </button>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog
      title={error ? 'This cannot be imported' : (preview?.character.name ?? 'Reading the card…')}
      onClose={onClose}
    >
      {error ? (
        <>
          <p className="import__file">{file.name}</p>
          <Refused error={error} />
        </>
      ) : preview === undefined ? (
        <p role="status">{file.name}</p>
      ) : (
        <Look preview={preview} />
      )}
      {saving.error && <Refused error={saving.error} />}
      <div className="dialog__actions">
        <button type="button" className="button" onClick={onClose}>
          {error ? 'Close' : 'Not now'}
        </button>
        {preview !== undefined && (
          <button
            type="button"
            className="button button--primary"
            disabled={saving.busy}
            onClick={() => void save()}
          >
            {saving.busy ? 'Importing…' : 'Import'}
          </button>
        )}
      </div>
    </Dialog>
  );
}

/** The form that fields could be marked in is not here: each says its own. */
function Refused({ error }: { error: ApiError }) {
  return (
    <Notice tone="error">
      {error.errors.length > 1
        ? error.errors.map(({ field, message }) => `${field}: ${message}`).join(' · ')
        : error.message}
    </Notice>
  );
}

const count = (n: number, one: string, many: string) => `${n} ${n === 1 ? one : many}`;

function Warnings({ warnings }: { warnings: readonly string[] }) {
  return (
    <ul className="import__warnings" aria-label="Warnings">
      {warnings.map((warning) => (
        <li key={warning}>
          <Icon name="warning" /> {warning}
        </li>
      ))}
    </ul>
  );
}

/** What would be saved. */
function Look({ preview }: { preview: CardPreview }) {
  const { character, picture, warnings, version } = preview;
  const greetings = character.alternateGreetings?.length ?? 0;
  const entries = character.lorebook?.entries?.length ?? 0;
  const facts = [
    version === 'Pygmalion' ? 'Pygmalion card' : `${version} card`,
    character.creator && `by ${character.creator}`,
    greetings > 0 && count(greetings, 'other greeting', 'other greetings'),
    entries > 0 && count(entries, 'lore entry', 'lore entries'),
    preview.pictures > 0 && count(preview.pictures, 'more picture', 'more pictures'),
  ].filter(Boolean);
  const texts = [
    ['Description', character.description],
    ['Personality', character.personality],
    ['Scenario', character.scenario],
    ['Greeting', character.greeting],
    ['Notes', character.creatorNotes],
  ] as const;
  return (
    <div className="import">
      <div className="import__head">
        {picture && <img className="import__picture" src={picture} alt="" />}
        <div className="import__about">
          <p>{facts.join(' · ')}</p>
          <ul className="tags" aria-label="Tags">
            {character.tags?.map((tag) => (
              <li key={tag} className="tag">
                {tag}
              </li>
            ))}
          </ul>
        </div>
      </div>
      {warnings.length > 0 && <Warnings warnings={warnings} />}
      <dl className="import__texts">
        {texts.map(
          ([title, text]) =>
            text && (
              <div key={title}>
                <dt>{title}</dt>
                <dd>{plainText(text)}</dd>
              </div>
            ),
        )}
      </dl>
    </div>
  );
}
