/** A character's pictures on its sheet: everybody looks at them, its owner adds, labels, orders and deletes them. */
import { useEffect, useEffectEvent, useId, useRef, useState } from 'react';
import { ApiError, asApiError, http } from '../api/client';
import type { Answer, Character, GalleryItem } from '../api/types';
import { addPicture, changePicture, galleries, loadGallery, removePicture } from '../app/gallery';
import { takeWholeCharacter } from '../app/library';
import type { Sent } from '../chat/parts';
import { sendFile, sendingWords, unfit } from '../chat/upload';
import { MOODS } from '../lib/expressions';
import { freshId } from '../lib/id';
import { useAction, useLoad } from '../lib/load';
import { useStore } from '../lib/store';
import { Blur } from '../ui/blur';
import { Confirm, Dialog } from '../ui/dialog';
import { Icon } from '../ui/icons';
import { Lightbox } from '../ui/lightbox';
import { Failure, FormError } from '../ui/notice';

const ACCEPTED = 'image/png,image/jpeg,image/webp,image/gif';
/** Tries to add a picture that is still being processed. */
const TRIES = 5;

/** Why a file cannot be one of the pictures at all. */
function noPicture(file: File): string | undefined {
  if (file.type.startsWith('image/')) return undefined;
  if (/\.(?:json|charx)$/i.test(file.name))
    return 'This is no picture. Cards are imported on the page of all characters.';
  return 'This is no picture.';
}

export function Gallery({ character, isMine }: { character: Character; isMine: boolean }) {
  const { error, again } = useLoad(character.id, () => loadGallery(character.id));
  const items = useStore(galleries)[character.id];
  const [open, setOpen] = useState<number>();
  const [edited, setEdited] = useState<string>();
  const edit = items?.find(({ id }) => id === edited);
  const part = useRef<HTMLElement>(null);
  const onRemoved = () => {
    setEdited(undefined);
    // What had the focus is gone with the picture.
    requestAnimationFrame(() => part.current?.querySelector<HTMLElement>('[data-add]')?.focus());
  };
  if (error) return <Failure error={error} onRetry={again} />;
  if (items === undefined || (items.length === 0 && !isMine)) return null;
  return (
    <section className="sheet__part gallery" aria-label="Pictures" ref={part}>
      <h2>Pictures</h2>
      {items.length > 0 && (
        <ul className="gallery__grid">
          {items.map((item, n) => (
            <Tile
              key={item.id}
              item={item}
              title={item.caption || `Picture ${n + 1}`}
              onOpen={() => setOpen(n)}
              onEdit={isMine ? () => setEdited(item.id) : undefined}
            />
          ))}
        </ul>
      )}
      {isMine && <Adding characterId={character.id} isFirst={items.length === 0} />}
      {open !== undefined && items[open] !== undefined && (
        <Lightbox
          items={items}
          at={open}
          name={character.name}
          onMove={setOpen}
          onClose={() => setOpen(undefined)}
        />
      )}
      {edit !== undefined && (
        <Edit
          key={edit.id}
          character={character}
          item={edit}
          last={items.length - 1}
          onClose={() => setEdited(undefined)}
          onRemoved={onRemoved}
        />
      )}
    </section>
  );
}

function Tile({
  item,
  title,
  onOpen,
  onEdit,
}: {
  item: GalleryItem;
  title: string;
  onOpen: () => void;
  onEdit: (() => void) | undefined;
}) {
  return (
    <li className="gallery__item" data-picture={item.id}>
      <button type="button" className="gallery__open" aria-label={`Look at: ${title}`} onClick={onOpen}>
        {item.blurHash && <Blur hash={item.blurHash} />}
        <img src={item.thumbnailUrl} alt="" loading="lazy" decoding="async" />
      </button>
      {(item.caption !== '' || item.expression) && (
        <p className="gallery__words">
          {item.expression && <span className="tag">{item.expression}</span>}
          <bdi>{item.caption}</bdi>
        </p>
      )}
      {onEdit && (
        <button
          type="button"
          className="icon-button gallery__edit"
          aria-label={`Change: ${title}`}
          onClick={onEdit}
        >
          <Icon name="edit" />
        </button>
      )}
    </li>
  );
}

interface Coming {
  id: string;
  name: string;
  /** Processed once it is whole. */
  sent: Sent;
  error?: string;
}

/** Why one is given up. One that is whole when its person only leaves this page is added all the same. */
const UNWANTED = 'unwanted';

async function add(characterId: string, uploadId: string, signal: AbortSignal): Promise<void> {
  const isUnwanted = () => signal.reason === UNWANTED;
  for (let tries = 1; ; tries += 1) {
    if (isUnwanted()) {
      await http.delete(`/api/uploads/${uploadId}`);
      return;
    }
    try {
      const { id } = await addPicture(characterId, uploadId);
      if (isUnwanted()) await removePicture(characterId, id);
      return;
    } catch (error) {
      const isSlow = error instanceof ApiError && error.code === 'conflict' && error.retryAfter !== undefined;
      if (!isSlow || tries === TRIES) throw error;
      await new Promise((wake) => setTimeout(wake, (error.retryAfter ?? 1) * 1000));
    }
  }
}

/** Pictures are chosen, pasted or dropped anywhere on the sheet, and sent one after the other. */
function Adding({ characterId, isFirst }: { characterId: string; isFirst: boolean }) {
  const [coming, setComing] = useState<readonly Coming[]>([]);
  const [isOver, setIsOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const line = useRef<Promise<void>>(Promise.resolve());
  /** Those that are not added yet, each with a way to give it up. */
  const ways = useRef(new Map<string, AbortController>());
  const update = (id: string, change: Partial<Coming>) =>
    setComing((list) => list.map((one) => (one.id === id ? { ...one, ...change } : one)));
  const drop = (id: string) => {
    ways.current.get(id)?.abort(UNWANTED);
    ways.current.delete(id);
    setComing((list) => list.filter((one) => one.id !== id));
  };

  const send = async (id: string, file: File, signal: AbortSignal) => {
    const isGone = () => signal.aborted;
    if (isGone()) return;
    try {
      const upload = await sendFile(file, (sent) => update(id, { sent }), signal);
      update(id, { sent: { part: 1, waiting: false } });
      await add(characterId, upload.id, signal);
      drop(id);
    } catch (error) {
      if (!isGone()) update(id, { error: asApiError(error).message });
    }
  };
  /** True when there were files; those that are no pictures are told of. */
  const take = (files: Iterable<File>): boolean => {
    const all = [...files];
    if (all.length === 0 || document.querySelector('dialog[open]') !== null) return false;
    for (const file of all) {
      const id = freshId();
      const control = new AbortController();
      ways.current.set(id, control);
      const error = noPicture(file) ?? unfit(file);
      setComing((list) => [
        ...list,
        { id, name: file.name, sent: { part: 0, waiting: false }, ...(error && { error }) },
      ]);
      if (error === undefined) line.current = line.current.then(() => send(id, file, control.signal));
    }
    return true;
  };

  const onPaste = useEffectEvent((event: ClipboardEvent) => {
    if (take(event.clipboardData?.files ?? [])) event.preventDefault();
  });
  const onDrag = useEffectEvent((event: DragEvent) => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    setIsOver(true);
  });
  const onDrop = useEffectEvent((event: DragEvent) => {
    setIsOver(false);
    // A file that is no picture must not open in the page's place.
    event.preventDefault();
    take(event.dataTransfer?.files ?? []);
  });
  const onLeave = useEffectEvent((event: DragEvent) => {
    if (event.relatedTarget === null) setIsOver(false);
  });
  useEffect(() => {
    const control = new AbortController();
    const { signal } = control;
    const under = ways.current;
    document.addEventListener('paste', (event) => onPaste(event), { signal });
    document.addEventListener('dragover', (event) => onDrag(event), { signal });
    document.addEventListener('dragleave', (event) => onLeave(event), { signal });
    document.addEventListener('drop', (event) => onDrop(event), { signal });
    return () => {
      control.abort();
      for (const way of under.values()) way.abort();
    };
  }, []);

  return (
    <div className="gallery__adding">
      {isFirst && (
        <p className="gallery__hint">
          Pictures of this character. Say which mood one shows, and it stands beside the conversation when a
          reply has that mood.
        </p>
      )}
      <button type="button" className="button" data-add onClick={() => input.current?.click()}>
        <Icon name="plus" /> Add pictures
      </button>
      <input
        ref={input}
        type="file"
        className="sr-only"
        accept={ACCEPTED}
        multiple
        tabIndex={-1}
        aria-hidden="true"
        data-gallery
        onChange={(event) => {
          take(event.target.files ?? []);
          event.target.value = '';
        }}
      />
      {coming.length > 0 && (
        <ul className="gallery__coming" aria-label="Pictures on their way">
          {coming.map(({ id, name, sent, error }) => (
            <li key={id}>
              <span className="gallery__file">{name}</span>
              {error === undefined ? (
                <>
                  <progress value={sent.part} max={1} aria-label={`Sending ${name}`} />
                  <span role="status">{sent.waiting && sendingWords(sent)}</span>
                </>
              ) : (
                <span className="field__error" role="alert">
                  {error}
                </span>
              )}
              <button
                type="button"
                className="link-button"
                aria-label={error === undefined ? `Cancel ${name}` : undefined}
                onClick={() => drop(id)}
              >
                {error === undefined ? 'Cancel' : 'Dismiss'}
              </button>
            </li>
          ))}
        </ul>
      )}
      {isOver && (
        <div className="drop-sign" aria-hidden="true">
          Drop the pictures here
        </div>
      )}
    </div>
  );
}

function Edit({
  character,
  item,
  last,
  onClose,
  onRemoved,
}: {
  character: Character;
  item: GalleryItem;
  /** The last place there is. */
  last: number;
  onClose: () => void;
  onRemoved: () => void;
}) {
  const [caption, setCaption] = useState(item.caption);
  const [expression, setExpression] = useState(item.expression ?? '');
  const [asking, setAsking] = useState(false);
  const action = useAction();
  const [done, setDone] = useState('');
  const ids = { caption: useId(), expression: useId(), moods: useId() };

  const act = async (what: () => Promise<unknown>, told: string) => {
    setDone('');
    if (await action.run(what)) setDone(told);
  };
  const save = async () => {
    const change = { caption: caption.trim(), expression: expression.trim() || null };
    if (await action.run(() => changePicture(character.id, item.id, change))) onClose();
  };
  const move = (position: number) =>
    act(() => changePicture(character.id, item.id, { position }), `It is picture ${position + 1} now.`);
  const beAvatar = () =>
    act(async () => {
      const body = { avatarUrl: item.url };
      const answer = await http.patch<Answer<'Character'>>(`/api/characters/${character.id}`, body);
      takeWholeCharacter(answer.character);
    }, `It is ${character.name}’s portrait now.`);
  const remove = async () => {
    if (await action.run(() => removePicture(character.id, item.id))) onRemoved();
  };

  if (asking)
    return (
      <Confirm
        title="Delete this picture?"
        action="Delete for good"
        busy={action.busy}
        onConfirm={() => void remove()}
        onClose={() => setAsking(false)}
      >
        <p>It leaves the gallery, and this server where nothing else shows it. It cannot be undone.</p>
        <FormError error={action.error} />
      </Confirm>
    );
  return (
    <Dialog title="Change the picture" onClose={onClose}>
      <form
        className="gallery__form"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <img className="gallery__edited" src={item.thumbnailUrl} alt={item.caption} />
        <div className="field">
          <label className="field__label" htmlFor={ids.caption}>
            Caption
          </label>
          <input
            id={ids.caption}
            className="input"
            dir="auto"
            maxLength={500}
            value={caption}
            onChange={(event) => setCaption(event.target.value)}
          />
        </div>
        <div className="field">
          <label className="field__label" htmlFor={ids.expression}>
            Expression
          </label>
          <input
            id={ids.expression}
            className="input"
            list={ids.moods}
            maxLength={40}
            autoCapitalize="none"
            aria-describedby={`${ids.expression}-hint`}
            value={expression}
            onChange={(event) => setExpression(event.target.value)}
          />
          <datalist id={ids.moods}>
            {MOODS.map((mood) => (
              <option key={mood} value={mood} />
            ))}
          </datalist>
          <span className="field__hint" id={`${ids.expression}-hint`}>
            A mood such as joy or anger. With one, it is shown when a reply has that mood.
          </span>
        </div>
        <div className="gallery__tools">
          <button
            type="button"
            className="button"
            disabled={action.busy || item.position === 0}
            onClick={() => void move(item.position - 1)}
          >
            <Icon name="back" /> Earlier
          </button>
          <button
            type="button"
            className="button"
            disabled={action.busy || item.position === last}
            onClick={() => void move(item.position + 1)}
          >
            <Icon name="forward" /> Later
          </button>
          <button type="button" className="button" disabled={action.busy} onClick={() => void beAvatar()}>
            <Icon name="people" /> Use as portrait
          </button>
          <button type="button" className="button button--danger" onClick={() => setAsking(true)}>
            <Icon name="trash" /> Delete
          </button>
        </div>
        <p role="status" className="gallery__done">
          {done}
        </p>
        <FormError error={action.error} />
        <div className="dialog__actions">
          <button type="button" className="button" onClick={onClose}>
            Close
          </button>
          <button type="submit" className="button button--primary" disabled={action.busy}>
            Save
          </button>
        </div>
      </form>
    </Dialog>
  );
}
