/** Shows the word that goes by itself, with one thing to do about it: see `lib/toasts.ts`. */
import { useEffect, useLayoutEffect, useRef, useState } from 'react';
import { asApiError } from '../api/client';
import { focusBack, goesByKey, isFocusLost } from '../lib/focus';
import { useStore } from '../lib/store';
import { hide, toasts, type Toast } from '../lib/toasts';

const SHOWN_FOR = 10_000;

/**
 * Says it once, for everyone; the one thing to do is a tab stop, and gets the focus of what went away with the press of a
 * key. Nobody has to hurry who is about to do it: for as long as it has the focus or the pointer it stays.
 */
export function Toasts() {
  const toast = useStore(toasts);
  return (
    <div className="toasts" role="status" aria-live="polite">
      {toast !== undefined && <Shown key={toast.id} toast={toast} />}
    </div>
  );
}

function Shown({ toast }: { toast: Toast }) {
  const box = useRef<HTMLParagraphElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const [trouble, setTrouble] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [hasFocus, setFocus] = useState(false);
  const [hasPointer, setPointer] = useState(false);
  const isHeld = busy || hasFocus || hasPointer;
  useEffect(() => {
    if (goesByKey() && isFocusLost()) button.current?.focus();
  }, [toast]);
  // Whoever closes it, or did what it offers, goes on in the page.
  useLayoutEffect(() => {
    const shown = box.current;
    return () => {
      if (!shown?.contains(document.activeElement)) return;
      // Another one that comes in its place has the focus by then.
      requestAnimationFrame(() => {
        if (isFocusLost()) focusBack();
      });
    };
  }, []);
  useEffect(() => {
    // What is under way is seen to its end, and trouble for as long as the word was.
    if (isHeld) return;
    const timer = setTimeout(() => hide(toast), SHOWN_FOR);
    return () => clearTimeout(timer);
  }, [toast, isHeld]);
  const act = () => {
    if (busy) return;
    setBusy(true);
    toast.act().then(
      () => hide(toast),
      (error: unknown) => {
        setBusy(false);
        setTrouble(asApiError(error).message);
      },
    );
  };
  return (
    // The keys of what is inside.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <p
      ref={box}
      className="toast"
      onPointerEnter={() => setPointer(true)}
      onPointerLeave={() => setPointer(false)}
      onFocus={() => setFocus(true)}
      onBlur={() => setFocus(false)}
      onKeyDown={(event) => {
        if (event.key !== 'Escape') return;
        // It closes this, and stops no reply.
        event.preventDefault();
        hide(toast);
      }}
    >
      <span>{trouble ?? toast.text}</span>
      <button type="button" className="link-button" ref={button} aria-disabled={busy} onClick={act}>
        {toast.action}
      </button>
    </p>
  );
}
