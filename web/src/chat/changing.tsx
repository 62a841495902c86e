/**
 * What can be done with what was said last: paging through the variants of a reply, asking for another one or for more,
 * putting it in other words, and asking again in other words.
 */
import { useEffect, useId, useRef, useState, type ReactNode, type RefObject, type TouchEvent } from 'react';
import type { Message } from '../api/types';
import { useAction } from '../lib/load';
import type { EventError } from '../live/events';
import { Icon } from '../ui/icons';
import { Markdown } from '../ui/markdown';
import type { Chat } from './chat';
import { wasChanged, type Edit } from './edits';

/** As far across as a finger has to go, in pixels, and so much further than up or down. */
const SWIPE = 60;
const STEEPNESS = 2;
/** Lines of the box that a reply is edited in: one is of a few sentences, which wrap. */
const REPLY_ROWS = 8;

/** Whether the arrows mean something where they are pressed; in an empty message there is nothing to move in. */
function usesArrows(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLTextAreaElement) return target.value !== '';
  return (
    target.closest(
      'input, select, audio, video, dialog, pre, .markdown__table, [role="menu"], [role="dialog"]',
    ) !== null
  );
}

/**
 * The last reply: swiped to the left for the next variant, behind the last one for a new one; to the right for the one before.
 * One that was said elsewhere has the variants that it came with.
 */
export function Variants(props: {
  reply: Message;
  failure: EventError | undefined;
  isImported: boolean;
  chat: Chat;
  /** What else can be done with it: a button beside the others. */
  edit: ReactNode;
  children: ReactNode;
}) {
  const { reply, isImported, chat } = props;
  const { busy, error, run } = useAction();
  const began = useRef<{ x: number; y: number } | undefined>(undefined);
  const { count, selected } = reply.variants ?? { count: 1, selected: 0 };
  const isEnd = isImported && selected + 1 >= count;
  const go = (to: number) => {
    if (busy || to < 0 || (isImported && to >= count)) return;
    void run(() => (to < count ? chat.choose(reply.id, to) : chat.regenerate(reply.id)));
  };
  // The arrows of the keyboard, unless they move something else.
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.defaultPrevented) return;
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step === undefined || usesArrows(event.target)) return;
      event.preventDefault();
      go(selected + step);
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  });
  const onTouchStart = (event: TouchEvent) => {
    const touch = event.touches[0];
    began.current =
      touch !== undefined && event.touches.length === 1 ? { x: touch.clientX, y: touch.clientY } : undefined;
  };
  const onTouchEnd = (event: TouchEvent) => {
    const touch = event.changedTouches[0];
    const from = began.current;
    began.current = undefined;
    if (touch === undefined || from === undefined) return;
    const [across, along] = [touch.clientX - from.x, touch.clientY - from.y];
    if (Math.abs(across) < SWIPE || Math.abs(across) < STEEPNESS * Math.abs(along)) return;
    go(selected + (across < 0 ? 1 : -1));
  };
  const trouble = error?.message ?? props.failure?.detail;
  return (
    <>
      <div className="variants__reply" onTouchStart={onTouchStart} onTouchEnd={onTouchEnd}>
        {props.children}
      </div>
      <div className="variants" role="group" aria-label="Variants of this reply">
        {(count > 1 || !isImported) && (
          <>
            <button
              type="button"
              className="variants__button"
              aria-label="Previous variant"
              aria-disabled={busy || selected === 0}
              onClick={() => go(selected - 1)}
            >
              <Icon name="back" />
            </button>
            <span className="variants__count" aria-live="polite">
              {selected + 1}/{count}
            </span>
            <button
              type="button"
              className="variants__button"
              aria-label={isImported || selected + 1 < count ? 'Next variant' : 'Another variant'}
              aria-disabled={busy || isEnd}
              onClick={() => go(selected + 1)}
            >
              <Icon name="forward" />
            </button>
          </>
        )}
        {!isImported && (
          <button
            type="button"
            className="variants__button"
            aria-label="Regenerate"
            title="Regenerate"
            aria-disabled={busy}
            onClick={() => go(count)}
          >
            <Icon name="retry" />
          </button>
        )}
        {props.edit}
        {!isImported && (
          <button
            type="button"
            className="link-button"
            aria-disabled={busy}
            onClick={() => {
              if (!busy) void run(() => chat.continueReply(reply.id));
            }}
          >
            Continue
          </button>
        )}
      </div>
      {trouble !== undefined && (
        <p className="said__meta" role="alert">
          <span className="said__trouble">{trouble}</span>
        </p>
      )}
    </>
  );
}

/** What was said last, in other words: one's own message is asked again, a reply says them from now on. */
export function Editing({
  message,
  edit,
  chat,
  ref,
}: {
  message: Message;
  edit: Edit;
  chat: Chat;
  ref: RefObject<HTMLTextAreaElement | null>;
}) {
  const { text } = edit;
  /** What the message says by now, where that was asked for. */
  const [shows, setShows] = useState(false);
  const shower = useRef<HTMLButtonElement>(null);
  const shownId = useId();
  const isChanged = wasChanged(edit, message);
  const { busy, error, run } = useAction();
  const isReply = message.role === 'character';
  const close = () => chat.endEdit(message.id);
  const send = () => {
    if (text.trim() === '' || busy) return;
    if (isReply && text === message.text) {
      close();
      return;
    }
    void run(() => chat.saveEdit(message, edit));
  };
  return (
    <form
      className="editing"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={ref}
        className="editing__text"
        dir="auto"
        aria-label={isReply ? 'The reply' : 'Your message'}
        rows={isReply ? REPLY_ROWS : Math.min(8, text.split('\n').length + 1)}
        maxLength={8_000}
        value={text}
        onChange={(event) => chat.typeEdit(message.id, event.target.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') {
            event.preventDefault();
            close();
          }
          if (event.key === 'Enter' && !event.shiftKey && !event.nativeEvent.isComposing) {
            event.preventDefault();
            // Whoever did not see it yet is led there.
            if (isChanged) shower.current?.focus();
            else send();
          }
        }}
      />
      <p className="said__meta">
        <span className="editing__changed" role="status">
          {isChanged && `This ${isReply ? 'reply' : 'message'} was changed meanwhile.`}
        </span>
        {isChanged && (
          <button
            type="button"
            className="link-button"
            ref={shower}
            aria-expanded={shows}
            aria-controls={shownId}
            onClick={() => setShows(!shows)}
          >
            {shows ? 'Hide it' : 'Show it'}
          </button>
        )}
      </p>
      {isChanged && shows && (
        <div className="bubble" id={shownId} role="group" aria-label="What it says now">
          <Markdown text={message.text} />
        </div>
      )}
      <p className="said__meta">
        {error !== undefined && (
          <span className="said__trouble" role="alert">
            {error.message}
          </span>
        )}
        <button type="submit" className="link-button" disabled={busy || text.trim() === ''}>
          {isChanged ? `${isReply ? 'Save' : 'Send'} mine anyway` : isReply ? 'Save' : 'Send again'}
        </button>
        <button type="button" className="link-button" onClick={close}>
          Keep it
        </button>
      </p>
    </form>
  );
}
