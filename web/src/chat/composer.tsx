/**
 * Where one writes. Enter sends, Shift and Enter begins a line, Escape stops the reply; what is not yet sent is kept
 * for each conversation, a reload or a closed tab notwithstanding.
 */
import {
  useCallback,
  useEffect,
  useEffectEvent,
  useLayoutEffect,
  useRef,
  useState,
  type ClipboardEvent,
  type KeyboardEvent,
} from 'react';
import type { Usage } from '../api/types';
import { goesByKey } from '../lib/focus';
import { useAction } from '../lib/load';
import { lengthOfTime, useNow } from '../lib/time';
import type { ConnectionState } from '../live/connection';
import { useRoom } from '../rooms/room';
import { answeredSender } from '../rooms/words';
import { Icon } from '../ui/icons';
import { Notice } from '../ui/notice';
import { AttachmentChip, RecordButton, useAttachment } from './attachment';
import type { Chat } from './chat';
import { isAnswering, type ChatState } from './state';
import { ACCEPTED } from './upload';
import { limitWords, statusWords, usageWords } from './words';

/** Most characters of a message; the server counts as `Array.from` does. */
const MAX_TEXT = 8_000;
const SHOW_COUNT_FROM = 7_000;
const FEW_LEFT = 5;

export function Composer(props: {
  chat: Chat;
  state: ChatState;
  connection: ConnectionState;
  name: string;
  usage: Usage | undefined;
  text: string;
  onText: (text: string) => void;
}) {
  const { chat, state, connection, name, usage, text, onText } = props;
  const area = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  const stop = useAction();
  const { attached, attach, remove, forget } = useAttachment(chat);
  const [trouble, setTrouble] = useState<string>();
  const [isOver, setIsOver] = useState(false);
  const room = useRoom();
  const asked = answeredSender(state);
  // A guest stops what answers their own message alone.
  const answering = isAnswering(state) && (asked === undefined || room.decides(asked));
  const length = text.length < SHOW_COUNT_FROM ? text.length : Array.from(text).length;

  const retryAt = Math.max(
    0,
    ...state.unsent.map((one) => (one.error?.code === 'rate_limited' ? (one.retryAt ?? 0) : 0)),
  );
  const kind = attached === undefined ? 'text' : attached.isAudio ? 'audio' : 'image';
  const isSpent = usage?.[kind].remaining === 0;
  const now = useNow(retryAt > 0 ? 1_000 : isSpent ? 30_000 : undefined);
  const wait = retryAt - now;
  const spent =
    limitWords(usage, name, now, kind) ??
    state.unsent.find((one) => one.error?.code === 'usage_limit_reached')?.error?.detail;
  const upload = attached?.upload?.status === 'ready' ? attached.upload : undefined;
  const says = attached === undefined ? text.trim() !== '' : upload !== undefined;
  const canSend = says && length <= MAX_TEXT && wait <= 0 && spent === undefined;

  const send = () => {
    if (!canSend) return;
    chat.send(text.trim(), upload);
    forget();
    onText('');
    area.current?.focus();
  };

  const take = (files: FileList | null | undefined): boolean => {
    const file = files?.[0];
    if (file === undefined) return false;
    setTrouble(undefined);
    void attach(file);
    area.current?.focus();
    return true;
  };

  const onPaste = (event: ClipboardEvent) => {
    if (take(event.clipboardData.files)) event.preventDefault();
  };

  // A drop is a shortcut: the button beside the text does the same for a keyboard.
  const onDrag = useEffectEvent((event: DragEvent) => {
    if (!event.dataTransfer?.types.includes('Files') || document.querySelector('dialog[open]') !== null)
      return;
    event.preventDefault();
    setIsOver(event.type === 'dragover');
    if (event.type === 'drop') take(event.dataTransfer.files);
  });
  const onDragLeave = useEffectEvent((event: DragEvent) => {
    const to = event.relatedTarget;
    if (!(to instanceof Node) || !area.current?.closest('main')?.contains(to)) setIsOver(false);
  });
  // Anywhere in the conversation: who drops a picture among what was said means to say it.
  useEffect(() => {
    const main = area.current?.closest('main');
    const control = new AbortController();
    const { signal } = control;
    main?.addEventListener('dragover', (event) => onDrag(event), { signal });
    main?.addEventListener('drop', (event) => onDrag(event), { signal });
    main?.addEventListener('dragleave', (event) => onDragLeave(event), { signal });
    return () => control.abort();
  }, []);

  const stopReply = () => {
    if (answering && !stop.busy) void stop.run(() => chat.stop());
  };

  /** Who stopped the reply by the keyboard writes next: no other button stands under a key that is still down. */
  const stopRef = useCallback(
    (button: HTMLButtonElement | null) => () => {
      if (button !== null && document.activeElement === button && goesByKey()) area.current?.focus();
    },
    [],
  );

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  };

  const onEscape = useEffectEvent((event: globalThis.KeyboardEvent) => {
    if (event.key !== 'Escape' || event.defaultPrevented || document.querySelector('dialog[open]') !== null)
      return;
    stopReply();
  });
  useEffect(() => {
    const listen = (event: globalThis.KeyboardEvent) => onEscape(event);
    window.addEventListener('keydown', listen);
    return () => window.removeEventListener('keydown', listen);
  }, []);

  // On a desk one writes at once; on a phone the keyboard would cover half of what one came to read.
  useEffect(() => {
    const box = area.current;
    if (box === null) return;
    box.setSelectionRange(box.value.length, box.value.length);
    if (matchMedia('(pointer: fine)').matches) box.focus({ preventScroll: true });
  }, []);

  useLayoutEffect(() => {
    const box = area.current;
    if (box === null || CSS.supports('field-sizing', 'content')) return;
    box.style.height = 'auto';
    box.style.height = `${box.scrollHeight}px`;
  }, [text]);

  const status = statusWords(state, connection, name, room.several ? room.name : undefined);
  const left = usageWords(usage, new Date(), kind);
  const remaining = usage?.[kind].remaining;
  const isLow = remaining != null && remaining <= FEW_LEFT;
  return (
    <div className="composer">
      <div className="composer__inner">
        <div className="composer__status">
          <span className="composer__state" role="status" aria-live="polite">
            <span className="composer__words">{status}</span>
          </span>
          {left !== undefined && (
            <span className={isLow ? 'composer__usage composer__usage--low' : 'composer__usage'}>
              {left.left}
              <span className="composer__until"> {left.until}</span>
            </span>
          )}
        </div>
        {spent !== undefined && <Notice tone="warning">{spent}</Notice>}
        {wait > 0 && (
          <Notice tone="warning">That was quick. You can send again in {lengthOfTime(wait)}.</Notice>
        )}
        {stop.error && <Notice tone="error">The reply could not be stopped. {stop.error.message}</Notice>}
        {length > MAX_TEXT && (
          <Notice tone="warning">
            This is too long to be sent: a message has {MAX_TEXT.toLocaleString()} characters at the most.
          </Notice>
        )}
        {trouble !== undefined && <Notice tone="warning">{trouble}</Notice>}
        {attached !== undefined && <AttachmentChip attached={attached} onRemove={remove} />}
        <form
          className={isOver ? 'composer__box composer__box--over' : 'composer__box'}
          onSubmit={(event) => {
            event.preventDefault();
            send();
          }}
        >
          <input
            ref={picker}
            type="file"
            hidden
            accept={ACCEPTED}
            data-attach
            onChange={(event) => {
              take(event.target.files);
              event.target.value = '';
            }}
          />
          <button
            type="button"
            className="icon-button"
            aria-label="Attach a picture or audio"
            title="Attach a picture or audio"
            onClick={() => picker.current?.click()}
          >
            <Icon name="attach" />
          </button>
          <textarea
            ref={area}
            className="composer__text"
            dir="auto"
            rows={1}
            value={text}
            aria-label={`Message to ${name}`}
            placeholder={`Message ${name}`}
            enterKeyHint="send"
            onChange={(event) => {
              onText(event.target.value);
              chat.setTyping(event.target.value !== '');
            }}
            onBlur={() => chat.setTyping(false)}
            onKeyDown={onKeyDown}
            onPaste={onPaste}
          />
          {length >= SHOW_COUNT_FROM && (
            <span className={length > MAX_TEXT ? 'composer__count composer__count--over' : 'composer__count'}>
              {(MAX_TEXT - length).toLocaleString()}
              <span className="sr-only"> characters left</span>
            </span>
          )}
          {text === '' && <RecordButton onRecorded={(file) => void attach(file)} onTrouble={setTrouble} />}
          {answering && (
            <button
              ref={stopRef}
              type="button"
              className="icon-button composer__stop"
              aria-label="Stop the reply"
              title="Stop (Esc)"
              disabled={stop.busy}
              onClick={stopReply}
            >
              <Icon name="stop" />
            </button>
          )}
          <button
            type="submit"
            className="icon-button composer__send"
            aria-label="Send"
            title="Send (Enter)"
            disabled={!canSend}
          >
            <Icon name="send" />
          </button>
        </form>
      </div>
    </div>
  );
}
