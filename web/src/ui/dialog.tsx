/** A modal dialog: the browser's own, which keeps the focus inside and gives it back. */
import { useId, useLayoutEffect, useRef, type ReactNode } from 'react';
import { Icon } from './icons';

export function Dialog({
  title,
  children,
  onClose,
}: {
  title: string;
  children: ReactNode;
  onClose: () => void;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  // Before it is taken away: one that is gone gives no focus back.
  useLayoutEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={ref}
      className="dialog"
      aria-labelledby={titleId}
      // A chooser of files that is left says `cancel` as well, and is heard here.
      onCancel={(event) => {
        if (event.target === event.currentTarget) onClose();
      }}
      onClose={onClose}
    >
      <header className="dialog__head">
        <h2 id={titleId} dir="auto">
          {title}
        </h2>
        <button type="button" className="icon-button" aria-label="Close" onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      <div className="dialog__body">{children}</div>
    </dialog>
  );
}

export function Confirm(props: {
  title: string;
  children: ReactNode;
  action: string;
  /** How one says no. */
  keep?: string;
  busy: boolean;
  onConfirm: () => void;
  onClose: () => void;
}) {
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      {props.children}
      <div className="dialog__actions">
        <button type="button" className="button" onClick={props.onClose}>
          {props.keep ?? 'Keep it'}
        </button>
        <button
          type="button"
          className="button button--danger"
          disabled={props.busy}
          onClick={props.onConfirm}
        >
          {props.action}
        </button>
      </div>
    </Dialog>
  );
}
