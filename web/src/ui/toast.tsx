/** A word that goes by itself, with one thing to do about it. Only the newest is shown. */
import { useEffect, useRef, useState } from 'react';
import { asApiError } from '../api/client';
import { createStore, useStore } from '../lib/store';

interface Toast {
  id: number;
  text: string;
  action: string;
  act: () => Promise<unknown>;
}

const SHOWN_FOR = 10_000;

const toasts = createStore<Toast | undefined>(undefined);
let count = 0;

export function showToast(text: string, action: string, act: () => Promise<unknown>): void {
  count += 1;
  toasts.set({ id: count, text, action, act });
}

/** They are of one person, who is no longer here. */
export function clearToasts(): void {
  toasts.set(undefined);
}

/** Says it once, for everyone; the one thing to do is a tab stop, and gets the focus of what went away with the press. */
export function Toasts() {
  const toast = useStore(toasts);
  return (
    <div className="toasts" role="status" aria-live="polite">
      {toast !== undefined && <Shown key={toast.id} toast={toast} />}
    </div>
  );
}

function Shown({ toast }: { toast: Toast }) {
  const button = useRef<HTMLButtonElement>(null);
  const [trouble, setTrouble] = useState<string>();
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    // Whoever pressed a key has lost the place that had the focus.
    if (document.activeElement === document.body) button.current?.focus();
  }, [toast]);
  useEffect(() => {
    // What is under way is seen to its end, and trouble for as long as the word was.
    if (busy) return;
    const timer = setTimeout(() => hide(toast), SHOWN_FOR);
    return () => clearTimeout(timer);
  }, [toast, busy]);
  const act = () => {
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
    <p className="toast">
      <span>{trouble ?? toast.text}</span>
      <button type="button" className="link-button" ref={button} disabled={busy} onClick={act}>
        {toast.action}
      </button>
    </p>
  );
}

function hide(toast: Toast): void {
  if (toasts.get() === toast) toasts.set(undefined);
}
