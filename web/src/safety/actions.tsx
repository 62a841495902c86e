/** The few things that one can do about what somebody else wrote, behind a button with three dots. */
import { useEffect, useId, useRef, useState } from 'react';
import { useAction, useLoad } from '../lib/load';
import { useStore } from '../lib/store';
import { Icon } from '../ui/icons';
import { ReportDialog } from './report';
import { block, blocks, isBlocked, loadBlocks, unblock, type Reportable } from './safety';

export function SafetyActions(props: {
  what: Reportable;
  /** Says for a screen reader what the button is about. */
  label: string;
  /** Whose it is; nobody is blocked where this is missing. */
  author?: string | undefined;
  authorName?: string;
}) {
  const [open, setOpen] = useState(false);
  const [reported, setReported] = useState<Reportable>();
  const list = useId();
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const { author } = props;
  useLoad(open && author !== undefined ? 'blocks' : undefined, loadBlocks);
  const blocked = isBlocked(useStore(blocks), author ?? '');
  const blocking = useAction();

  useEffect(() => {
    if (!open) return;
    box.current?.querySelector<HTMLButtonElement>('.actions__list button')?.focus();
    const elsewhere = (event: Event) => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    addEventListener('pointerdown', elsewhere);
    addEventListener('focusin', elsewhere);
    return () => {
      removeEventListener('pointerdown', elsewhere);
      removeEventListener('focusin', elsewhere);
    };
  }, [open]);

  const shut = () => {
    setOpen(false);
    button.current?.focus();
  };
  const report = (what: Reportable) => {
    setOpen(false);
    setReported(what);
  };
  const toggleBlock = async () => {
    if (author === undefined) return;
    if (await blocking.run(() => (blocked ? unblock(author) : block(author)))) shut();
  };
  return (
    // A key that is pressed on one of its buttons closes it.
    // eslint-disable-next-line jsx-a11y/no-static-element-interactions
    <div
      className="actions"
      ref={box}
      onKeyDown={(event) => {
        if (open && event.key === 'Escape') {
          event.stopPropagation();
          shut();
        }
      }}
    >
      <button
        type="button"
        ref={button}
        className="actions__button"
        aria-label={props.label}
        aria-expanded={open}
        aria-controls={open ? list : undefined}
        onClick={() => setOpen(!open)}
      >
        <Icon name="more" />
      </button>
      {open && (
        <ul className="actions__list" id={list}>
          <li>
            <button type="button" onClick={() => report(props.what)}>
              <Icon name="warning" /> Report
            </button>
          </li>
          {author !== undefined && props.what.kind !== 'user' && (
            <li>
              <button type="button" onClick={() => report({ kind: 'user', id: author })}>
                <Icon name="warning" /> Report {props.authorName ?? 'this person'}
              </button>
            </li>
          )}
          {author !== undefined && (
            <li>
              <button type="button" disabled={blocking.busy} onClick={() => void toggleBlock()}>
                <Icon name="close" /> {blocked ? 'Unblock' : 'Block'} {props.authorName ?? 'this person'}
              </button>
            </li>
          )}
          {blocking.error && (
            <li className="actions__error" role="alert">
              {blocking.error.message}
            </li>
          )}
        </ul>
      )}
      {reported && (
        <ReportDialog
          what={reported}
          onClose={() => {
            setReported(undefined);
            // Once the dialog is gone: until then nothing else takes the focus.
            requestAnimationFrame(() => button.current?.focus());
          }}
        />
      )}
    </div>
  );
}
