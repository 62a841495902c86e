/** Where a conversation parts: another one that goes on from a message, and the last exchange taken back. */
import { useRef, useState } from 'react';
import { useLocation } from 'wouter';
import type { Message } from '../api/types';
import { readConversation } from '../app/library';
import { useFocusBack } from '../lib/focus';
import { useAction } from '../lib/load';
import { Icon } from '../ui/icons';
import type { Chat } from './chat';

/** Shown where the pointer or the focus is; on a touch screen always. */
export function Branch({ message, chat }: { message: Message; chat: Chat }) {
  const { busy, error, run } = useAction();
  const [, go] = useLocation();
  const branch = () => {
    if (busy) return;
    void run(async () => {
      const id = await chat.branch(message.id);
      await readConversation(id);
      go(`/c/${id}`);
    });
  };
  return (
    <>
      <button
        type="button"
        className="said__branch"
        aria-label="Branch from here"
        title="Branch from here"
        aria-disabled={busy}
        onClick={branch}
      >
        <Icon name="branch" />
      </button>
      {error && (
        <span className="said__trouble" role="alert">
          {error.message}
        </span>
      )}
    </>
  );
}

/** Asks once more before it is gone: this cannot be undone. */
export function RemoveExchange({ message, chat }: { message: Message; chat: Chat }) {
  const { busy, error, run } = useAction();
  const [asks, setAsks] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  useFocusBack(asks, opener);
  if (!asks) {
    return (
      <button type="button" className="link-button" ref={opener} onClick={() => setAsks(true)}>
        Delete
      </button>
    );
  }
  return (
    <span className="said__asks" role="group" aria-label="Delete this message and its reply?">
      <span className={error ? 'said__trouble' : undefined} role={error ? 'alert' : undefined}>
        {error?.message ?? 'With its reply?'}
      </span>
      <button
        type="button"
        className="link-button link-button--bad"
        disabled={busy}
        // It takes the place of what was pressed.
        // eslint-disable-next-line jsx-a11y/no-autofocus
        autoFocus
        onClick={() => void run(() => chat.removeExchange(message.id))}
      >
        Delete both
      </button>
      <button type="button" className="link-button" onClick={() => setAsks(false)}>
        Keep
      </button>
    </span>
  );
}
