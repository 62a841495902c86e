/** A chat of SillyTavern, as a conversation with this character: a file that is chosen, or dropped here. */
import { useEffect, useEffectEvent, useRef, useState } from 'react';
import { useLocation } from 'wouter';
import { asApiError, type ApiError } from '../../api/client';
import type { CharacterSummary, ImportedChat } from '../../api/types';
import { Dialog } from '../../ui/dialog';
import { Icon } from '../../ui/icons';
import { importChat } from './calls';
import { Refused } from './look';

export function ImportChat({ character }: { character: Pick<CharacterSummary, 'id' | 'name'> }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <button
        type="button"
        className="button"
        title="A chat of SillyTavern, as JSONL"
        onClick={() => setOpen(true)}
      >
        <Icon name="down" /> Import a chat
      </button>
      {isOpen && <Importing character={character} onClose={() => setOpen(false)} />}
    </>
  );
}

const count = (n: number, one: string, many: string) => `${n.toLocaleString()} ${n === 1 ? one : many}`;

/** How much came, and how much had no place here. */
export function outcomeOf({ messages, leftOut }: Pick<ImportedChat, 'messages' | 'leftOut'>): string {
  const came = `${count(messages, 'message', 'messages')} came.`;
  return leftOut === 0
    ? came
    : `${came} ${count(leftOut, 'line', 'lines')} without anything said ${leftOut === 1 ? 'was' : 'were'} left out.`;
}

function Importing(props: { character: Pick<CharacterSummary, 'id' | 'name'>; onClose: () => void }) {
  const { character, onClose } = props;
  const [, go] = useLocation();
  const [file, setFile] = useState<File>();
  const [error, setError] = useState<ApiError>();
  const [made, setMade] = useState<ImportedChat>();
  const [isOver, setIsOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const place = useRef<HTMLDivElement>(null);
  const busy = file !== undefined && error === undefined && made === undefined;

  const take = (given: FileList | null | undefined) => {
    const [one] = given ?? [];
    if (one === undefined || busy) return;
    setFile(one);
    setError(undefined);
    importChat(character.id, one).then(setMade, (reason: unknown) => setError(asApiError(reason)));
  };
  const onDrag = useEffectEvent((event: DragEvent) => {
    // The page behind takes pictures.
    event.preventDefault();
    event.stopPropagation();
    setIsOver(event.type === 'dragover');
    if (event.type === 'drop') take(event.dataTransfer?.files);
  });
  useEffect(() => {
    const control = new AbortController();
    for (const name of ['dragover', 'dragleave', 'drop'] as const) {
      place.current?.addEventListener(name, (event) => onDrag(event), { signal: control.signal });
    }
    return () => control.abort();
  }, []);

  if (made !== undefined) {
    return (
      <Dialog title="The chat is here" onClose={onClose}>
        <p role="status">{outcomeOf(made)}</p>
        <div className="dialog__actions">
          <button
            key="open"
            type="button"
            className="button button--primary"
            // It takes the place of what was pressed, and is another one.
            // eslint-disable-next-line jsx-a11y/no-autofocus
            autoFocus
            onClick={() => go(`/c/${made.conversation.id}`)}
          >
            Open it
          </button>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title={`Import a chat with ${character.name}`} onClose={onClose}>
      <p>
        A chat that SillyTavern exported or saved, as JSONL. It becomes a conversation of your own, with its
        dates and the swipes of its replies. Nothing of it counts as sent.
      </p>
      <div className={isOver ? 'chat-file chat-file--over' : 'chat-file'} ref={place}>
        <button
          type="button"
          className="button button--primary"
          // It stays, and keeps the focus: the file may be refused, and another one follow.
          aria-disabled={busy}
          onClick={() => {
            if (!busy) input.current?.click();
          }}
        >
          Choose a file
        </button>
        <p className="chat-file__hint">
          <span role="status">{busy && `Importing ${file.name}…`}</span>
          {!busy && 'or drop one here'}
        </p>
        <input
          ref={input}
          type="file"
          className="sr-only"
          accept=".jsonl,.ndjson,.json,application/jsonl,application/x-ndjson"
          tabIndex={-1}
          aria-hidden="true"
          data-import-chat
          onChange={(event) => {
            take(event.target.files);
            // The same file again is a choice too.
            event.target.value = '';
          }}
        />
      </div>
      {error && (
        <>
          <p className="import__file">{file?.name}</p>
          <Refused error={error} />
        </>
      )}
    </Dialog>
  );
}
