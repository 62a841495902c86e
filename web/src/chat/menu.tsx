/** What can be done with a whole conversation: another one beside it, another title, and deleting it, which can be undone. */
import { useEffect, useId, useRef, useState, type KeyboardEvent } from 'react';
import { useLocation } from 'wouter';
import type { Conversation } from '../api/types';
import { beginConversation, renameConversation } from '../app/library';
import { deleteConversation, restoreConversation } from '../app/rooms';
import { focusBack, isFocusLost, useFocusBack } from '../lib/focus';
import { useAction } from '../lib/load';
import { Icon } from '../ui/icons';
import { showToast } from '../lib/toasts';

export function ConversationMenu(props: {
  conversation: Conversation;
  renames: boolean;
  onRename: () => void;
}) {
  const { conversation } = props;
  const [isOpen, setOpen] = useState(false);
  const { busy, error, run } = useAction();
  const [, go] = useLocation();
  const box = useRef<HTMLDivElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const id = useId();
  useFocusBack(props.renames, opener);

  useEffect(() => {
    if (!isOpen) return;
    box.current?.querySelector<HTMLElement>('[role="menuitem"]')?.focus();
    const outside = (event: PointerEvent) => {
      const target = event.target as Node;
      if (!box.current?.contains(target) && !opener.current?.contains(target)) setOpen(false);
    };
    document.addEventListener('pointerdown', outside);
    return () => document.removeEventListener('pointerdown', outside);
  }, [isOpen]);

  const onKeyDown = (event: KeyboardEvent) => {
    const items = [...(box.current?.querySelectorAll<HTMLElement>('[role="menuitem"]') ?? [])];
    const at = items.indexOf(document.activeElement as HTMLElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      items[(at + step + items.length) % items.length]?.focus();
    } else if (event.key === 'Escape' || event.key === 'Tab') {
      setOpen(false);
      if (event.key === 'Escape') {
        // It closes this, and stops no reply.
        event.preventDefault();
        opener.current?.focus();
      }
    }
  };

  const remove = () => {
    void run(async () => {
      await deleteConversation(conversation.id);
      go('/');
      showToast('Deleted.', 'Undo', async () => {
        const { id: restored } = await restoreConversation(conversation.id);
        go(`/c/${restored}`);
      });
      // The way to have it back comes first for who goes by the keyboard; nobody is left at the start of the page.
      requestAnimationFrame(() => {
        if (isFocusLost()) focusBack();
      });
    });
  };

  const beginAnew = () => {
    void run(async () => {
      const { id: begun } = await beginConversation(conversation.characterId);
      setOpen(false);
      go(`/c/${begun}`);
    });
  };

  return (
    <div className="menu">
      <button
        type="button"
        className="icon-button"
        ref={opener}
        aria-label="Conversation menu"
        aria-haspopup="menu"
        aria-expanded={isOpen}
        aria-controls={isOpen ? id : undefined}
        onClick={() => setOpen(!isOpen)}
      >
        <Icon name="more" />
      </button>
      {isOpen && (
        <div
          className="menu__items"
          id={id}
          ref={box}
          role="menu"
          aria-label="Conversation"
          tabIndex={-1}
          onKeyDown={onKeyDown}
        >
          <button
            type="button"
            role="menuitem"
            className="menu__item"
            aria-disabled={busy}
            onClick={beginAnew}
          >
            <Icon name="plus" /> New chat
          </button>
          <button
            type="button"
            role="menuitem"
            className="menu__item"
            onClick={() => {
              setOpen(false);
              props.onRename();
            }}
          >
            <Icon name="edit" /> Rename
          </button>
          <a
            role="menuitem"
            className="menu__item"
            href={`/api/conversations/${encodeURIComponent(conversation.id)}/export`}
            download
            onClick={() => setOpen(false)}
          >
            <Icon name="down" /> Save as a file
          </a>
          <button
            type="button"
            role="menuitem"
            className="menu__item menu__item--bad"
            aria-disabled={busy}
            onClick={remove}
          >
            <Icon name="trash" /> Delete
          </button>
          {error && (
            <p className="menu__trouble" role="alert">
              {error.message}
            </p>
          )}
        </div>
      )}
    </div>
  );
}

const MAX_TITLE = 100;

/** The title as a field, in its own place: Enter keeps what is written, Escape what was. */
export function Renaming(props: { conversation: Conversation; onDone: () => void }) {
  const { conversation, onDone } = props;
  const [title, setTitle] = useState(conversation.title);
  const { busy, error, run } = useAction();
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => {
    box.current?.focus();
    box.current?.select();
  }, []);
  const keep = () => {
    const words = title.trim();
    if (busy || words === '') return;
    if (words === conversation.title) {
      onDone();
      return;
    }
    void run(async () => {
      await renameConversation(conversation.id, words);
      onDone();
    });
  };
  return (
    <form
      className="renaming"
      onSubmit={(event) => {
        event.preventDefault();
        keep();
      }}
    >
      <input
        ref={box}
        className="input renaming__title"
        dir="auto"
        aria-label="Title of the conversation"
        aria-invalid={error !== undefined}
        maxLength={MAX_TITLE}
        value={title}
        onChange={(event) => setTitle(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== 'Escape') return;
          event.preventDefault();
          onDone();
        }}
      />
      <button
        type="submit"
        className="icon-button"
        aria-label="Keep the title"
        disabled={busy || title.trim() === ''}
      >
        <Icon name="check" />
      </button>
      <button type="button" className="icon-button" aria-label="Keep the old title" onClick={onDone}>
        <Icon name="close" />
      </button>
      {error && (
        <p className="renaming__trouble" role="alert">
          {error.message}
        </p>
      )}
    </form>
  );
}
