/**
 * Everything said, newest at the foot. It stays at the foot while one is there, and offers a way down when one reads further
 * up. What one reads then keeps its place while older pages come in above, while rows far from it come and go, and while rows that
 * were out of sight get the height that they were only thought to have.
 */
import { useEffect, useEffectEvent, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { flushSync } from 'react-dom';
import type { CharacterSummary } from '../api/types';
import { dayName } from '../lib/time';
import { useRoom } from '../rooms/room';
import { Icon } from '../ui/icons';
import type { Chat, OpenChat } from './chat';
import { transcriptRows, type Row } from './rows';
import { SaidMessage, SaidReply, SaidUnsent } from './said';
import type { ChatState } from './state';
import { endAround, endMoved, rowWindow, type WindowEnd } from './window';
import { plainText } from './words';

/** As far from the foot as still counts as being there, in pixels. */
const NEAR_FOOT = 80;

export function Transcript(props: {
  open: OpenChat;
  chat: Chat;
  character: CharacterSummary;
  connected: boolean;
  onEdit: (text: string) => void;
  /** The `seq` of the last message that was said elsewhere. */
  importedSeq?: number | undefined;
  /** The `seq` of a message to show first, instead of the newest. */
  at?: number | undefined;
}) {
  const { chat, at, importedSeq } = props;
  const { state, loadingEarlier } = props.open;
  const { decides } = useRoom();
  const scroll = useRef<HTMLDivElement>(null);
  const inner = useRef<HTMLDivElement>(null);
  const isAtFoot = useRef(true);
  /** The row in the middle of what one reads, and how far below the top it stands, in pixels. */
  const held = useRef<{ row: HTMLElement; top: number } | undefined>(undefined);
  const [away, setAway] = useState(false);
  /** Whether something in here had the focus when rows came and went. */
  const hadFocus = useRef(false);
  const unsentCount = state.unsent.length;
  const rows = useMemo(() => transcriptRows(state, decides, importedSeq), [state, decides, importedSeq]);
  const [end, setEnd] = useState<WindowEnd>(undefined);
  const shown = rowWindow(rows, end);
  const hasLater = shown.below > 0;
  // It names no row any more, or the last one.
  if (end !== undefined && !hasLater) setEnd(undefined);
  const [sentCount, setSentCount] = useState(unsentCount);
  // One's own message is always brought into view.
  if (unsentCount !== sentCount) {
    setSentCount(unsentCount);
    if (unsentCount > 0) setEnd(undefined);
  }

  const toFoot = () => {
    const box = scroll.current;
    if (box !== null) box.scrollTop = box.scrollHeight;
  };

  const show = (next: WindowEnd) => {
    hadFocus.current = inner.current?.contains(document.activeElement) === true;
    setEnd(next);
  };

  const move = (up: boolean) => show(endMoved(rows, shown, up));

  const earlier = () => {
    if (shown.above > 0) move(true);
    else chat.loadEarlier().catch(() => undefined);
  };

  /** More on the side that one comes near to. */
  const reach = () => {
    const box = scroll.current;
    if (box === null || isAtFoot.current) return;
    if (box.scrollTop < box.clientHeight / 2) {
      if (shown.above > 0 || state.hasEarlier) earlier();
    } else if (hasLater && box.scrollHeight - box.scrollTop - box.clientHeight < box.clientHeight)
      move(false);
  };
  const reachNow = useEffectEvent(() => {
    if (shown.above > 0 || hasLater) reach();
  });

  const hold = (box: HTMLElement) => {
    const { left, top, width, height } = box.getBoundingClientRect();
    const middle = document.elementFromPoint(left + width / 2, top + height / 2);
    const row = middle?.closest<HTMLElement>('.log > *');
    if (row) held.current = { row, top: row.getBoundingClientRect().top - top };
  };

  const keepPlace = () => {
    const box = scroll.current;
    if (box === null) return;
    if (isAtFoot.current) {
      toFoot();
    } else if (held.current?.row.isConnected) {
      const { row, top } = held.current;
      const moved = row.getBoundingClientRect().top - box.getBoundingClientRect().top - top;
      if (Math.abs(moved) >= 1) box.scrollTop += moved;
    }
  };
  const keepPlaceNow = useEffectEvent(keepPlace);

  useLayoutEffect(() => {
    if (unsentCount > 0) isAtFoot.current = true;
  }, [unsentCount]);

  useLayoutEffect(keepPlace);

  const first = shown.rows[0]?.key;
  // Where a row went that had the focus, the keyboard still scrolls.
  useLayoutEffect(() => {
    if (hadFocus.current && document.activeElement === document.body)
      scroll.current?.focus({ preventScroll: true });
    hadFocus.current = false;
  }, [first, end]);
  // What came in may not reach as far as one scrolled meanwhile.
  useEffect(() => {
    const frame = requestAnimationFrame(() => reachNow());
    return () => cancelAnimationFrame(frame);
  }, [first, end, shown.above]);

  const bring = useEffectEvent((seq: number) => {
    const found = rows.findIndex((row) => row.kind === 'message' && row.message.seq === seq);
    if (found >= 0) flushSync(() => show(endAround(rows, found)));
  });

  // A message that was searched for: read until it is there, then brought into view.
  useEffect(() => {
    if (at === undefined) return;
    const control = new AbortController();
    const { signal } = control;
    isAtFoot.current = false;
    const point = () => {
      const said = inner.current?.querySelector<HTMLElement>(`[data-seq="${at}"]`);
      if (signal.aborted || !said) return;
      isAtFoot.current = false;
      said.scrollIntoView({ block: 'center' });
      // From here on this is what is read, also while rows around it get their height.
      const top = scroll.current?.getBoundingClientRect().top ?? 0;
      held.current = { row: said, top: said.getBoundingClientRect().top - top };
      said.classList.add('said--found');
      said.tabIndex = -1;
      said.focus({ preventScroll: true });
    };
    chat
      .loadUntil(at, signal)
      .catch(() => undefined)
      .finally(() =>
        requestAnimationFrame(() => {
          if (signal.aborted) return;
          isAtFoot.current = false;
          bring(at);
          // At once: where the box stands by then others may come near, and take the place of this one.
          point();
        }),
      );
    return () => control.abort();
  }, [at, chat]);

  // The keyboard of a phone, a turned device, a font that arrives late, a row that comes into sight.
  useEffect(() => {
    const box = scroll.current;
    const content = inner.current;
    if (box === null || content === null) return;
    const observer = new ResizeObserver(() => keepPlaceNow());
    observer.observe(box);
    observer.observe(content);
    return () => observer.disconnect();
  }, []);

  const onScroll = () => {
    const box = scroll.current;
    if (box === null) return;
    isAtFoot.current = !hasLater && box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_FOOT;
    setAway(!isAtFoot.current);
    hold(box);
    reach();
  };

  return (
    <div className="transcript">
      <div
        className="transcript__scroll"
        ref={scroll}
        onScroll={onScroll}
        // It scrolls, so the keyboard must reach it.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        tabIndex={0}
        role="region"
        aria-label="Messages"
      >
        <div className="transcript__inner" ref={inner}>
          {(state.hasEarlier || shown.above > 0) && (
            <button
              type="button"
              className="button transcript__earlier"
              disabled={loadingEarlier}
              onClick={earlier}
            >
              {loadingEarlier ? 'Loading…' : 'Earlier messages'}
            </button>
          )}
          {!state.hasEarlier && shown.above === 0 && (
            <p className="transcript__start">
              This is the beginning of your conversation with {props.character.name}.
            </p>
          )}
          <div
            className="log"
            role="log"
            // Rows that come back are no news.
            aria-live={away || hasLater ? 'off' : 'polite'}
            aria-relevant="additions"
            aria-busy={loadingEarlier}
            aria-label="Conversation"
          >
            {shown.rows.map((row) => (
              <TranscriptRow key={row.key} row={row} {...props} />
            ))}
          </div>
          {hasLater && (
            <button type="button" className="button transcript__later" onClick={() => move(false)}>
              Later messages
            </button>
          )}
        </div>
      </div>
      {away && (
        <button
          type="button"
          className="button jump"
          onClick={() => {
            isAtFoot.current = true;
            if (hasLater) show(undefined);
            else toFoot();
          }}
        >
          <Icon name="down" /> Latest
        </button>
      )}
      <Announcer state={state} name={props.character.name} />
      <RemovalAnnouncer removals={state.removals ?? 0} />
      <PeopleAnnouncer state={state} alone={away || hasLater} />
    </div>
  );
}

function TranscriptRow(props: {
  row: Row;
  open: OpenChat;
  chat: Chat;
  character: CharacterSummary;
  connected: boolean;
  onEdit: (text: string) => void;
}) {
  const { row, character, chat } = props;
  switch (row.kind) {
    case 'day':
      return (
        <p className="day">
          <time dateTime={row.at}>{dayName(row.at)}</time>
        </p>
      );
    case 'message':
      return (
        // A reply was announced whole when it was done; this part must not be read twice.
        <div
          aria-live={row.message.role === 'character' ? 'off' : undefined}
          data-message={row.message.id}
          data-role={row.message.role}
          data-seq={row.message.seq}
        >
          <SaidMessage
            message={row.message}
            isMine={row.isMine}
            follows={row.follows}
            last={row.last}
            waits={row.waits}
            ahead={row.ahead}
            answers={row.answers}
            failure={props.open.state.failures[row.message.inReplyTo ?? row.message.id]}
            isOpen={row.isOpen}
            isImported={row.isImported}
            edit={props.open.edits[row.message.id]}
            character={character}
            chat={chat}
          />
        </div>
      );
    case 'unsent':
      return (
        <SaidUnsent
          unsent={row.unsent}
          follows={row.follows}
          connected={props.connected}
          chat={chat}
          onEdit={props.onEdit}
        />
      );
    case 'reply':
      return (
        <div aria-live="off" data-role="character">
          <SaidReply reply={row.reply} follows={row.follows} answers={row.answers} character={character} />
        </div>
      );
  }
}

/** While the log itself is silent, because one reads further up: what others say in it. */
function PeopleAnnouncer({ state, alone }: { state: ChatState; alone: boolean }) {
  const room = useRoom();
  const last = state.messages.findLast(
    (message) => message.role === 'user' && message.senderId !== state.userId,
  );
  const seq = last?.seq ?? 0;
  const [since, setSince] = useState({ alone, seq });
  if (since.alone !== alone) setSince({ alone, seq });
  return (
    <p className="sr-only" role="status" aria-live="polite">
      {alone &&
        last !== undefined &&
        seq > since.seq &&
        `${room.name(last.senderId)}: ${plainText(last.text)}`}
    </p>
  );
}

/** What is taken back leaves the log without a word. */
function RemovalAnnouncer({ removals }: { removals: number }) {
  const [opened] = useState(removals);
  return (
    <p className="sr-only" role="status" aria-live="polite">
      {/* Said again of the next one, which changes nothing that is seen. */}
      {removals > opened &&
        `A message and its reply were deleted.${'\u00a0'.repeat((removals - opened) % 2)}`}
    </p>
  );
}

/** Reads a reply out once it is whole: a stream read piece by piece would be a stutter. */
function Announcer({ state, name }: { state: ChatState; name: string }) {
  const last = state.messages.findLast((message) => message.role === 'character');
  const [opened] = useState(last?.seq ?? 0);
  return (
    <p className="sr-only" role="status" aria-live="polite">
      {last !== undefined && last.seq > opened && `${name}: ${plainText(last.text)}`}
    </p>
  );
}
