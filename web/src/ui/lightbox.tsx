/** Pictures, one at a time over the whole window: arrow keys, a swipe, Escape. The browser keeps the focus inside. */
import { useEffect, useEffectEvent, useLayoutEffect, useRef } from 'react';
import type { GalleryItem } from '../api/types';
import { Icon } from './icons';

/** Pixels that a finger moves for another picture. */
const SWIPE = 48;

export function Lightbox({
  items,
  at,
  name,
  onMove,
  onClose,
}: {
  items: readonly GalleryItem[];
  at: number;
  /** Whose pictures they are. */
  name: string;
  onMove: (at: number) => void;
  onClose: () => void;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  const start = useRef<number | undefined>(undefined);
  // Before it is taken away: one that is gone gives no focus back.
  useLayoutEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  const move = (by: number) => onMove((at + by + items.length) % items.length);
  const onKey = useEffectEvent((event: KeyboardEvent) => {
    if (event.key === 'ArrowLeft') move(-1);
    else if (event.key === 'ArrowRight') move(1);
    else return;
    event.preventDefault();
  });
  useEffect(() => {
    const dialog = ref.current;
    const listener = (event: KeyboardEvent) => onKey(event);
    dialog?.addEventListener('keydown', listener);
    return () => dialog?.removeEventListener('keydown', listener);
  }, []);

  const item = items[at];
  if (item === undefined) return null;
  const place = `Picture ${at + 1} of ${items.length}`;
  return (
    <dialog
      ref={ref}
      className="lightbox"
      aria-label={`Pictures of ${name}`}
      onCancel={(event) => {
        if (event.target === event.currentTarget) onClose();
      }}
      onClose={onClose}
      onPointerDown={(event) => (start.current = event.clientX)}
      onPointerUp={(event) => {
        const by = event.clientX - (start.current ?? event.clientX);
        start.current = undefined;
        if (Math.abs(by) >= SWIPE && items.length > 1) move(by > 0 ? -1 : 1);
      }}
    >
      <figure className="lightbox__figure">
        <img
          key={item.id}
          className="lightbox__picture"
          src={item.url}
          width={item.width ?? undefined}
          height={item.height ?? undefined}
          alt={item.caption || place}
          draggable={false}
        />
        <figcaption>
          <p className="lightbox__caption" role="status">
            <span>{item.caption}</span>
            <span className="lightbox__place">{place}</span>
          </p>
        </figcaption>
      </figure>
      <button
        type="button"
        className="icon-button lightbox__close"
        aria-label="Close the picture"
        onClick={onClose}
      >
        <Icon name="close" />
      </button>
      {items.length > 1 && (
        <>
          <button
            type="button"
            className="icon-button lightbox__back"
            aria-label="Picture before"
            onClick={() => move(-1)}
          >
            <Icon name="back" />
          </button>
          <button
            type="button"
            className="icon-button lightbox__forward"
            aria-label="Next picture"
            onClick={() => move(1)}
          >
            <Icon name="forward" />
          </button>
        </>
      )}
    </dialog>
  );
}
