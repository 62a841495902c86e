import { act, useRef } from 'react';
import { createRoot, type Root } from 'react-dom/client';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { useKeptFocus } from '../lib/focus';
import { clearToasts, showToast } from '../lib/toasts';
import { Toasts } from './toast';

let box: HTMLElement;
let root: Root;
let done: () => void = () => undefined;
let fail: (why: Error) => void = () => undefined;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', true);
  box = document.body.appendChild(document.createElement('div'));
  root = createRoot(box);
  document.dispatchEvent(new Event('pointerdown'));
  act(() => root.render(<Toasts />));
  act(() => showToast('Deleted.', 'Undo', () => new Promise<void>((...how) => ([done, fail] = how))));
});
afterEach(() => {
  act(() => clearToasts());
  act(() => root.unmount());
  box.remove();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const toast = () => box.querySelector<HTMLElement>('.toast');
const button = () => box.querySelector('button') ?? document.createElement('button');
const pass = (seconds: number) =>
  act(() => {
    vi.advanceTimersByTime(seconds * 1_000);
  });
/** React hears of the pointer by these. */
const point = (name: 'pointerover' | 'pointerout') =>
  act(() => {
    toast()?.dispatchEvent(new MouseEvent(name, { bubbles: true }));
  });

it('goes by itself after ten seconds', () => {
  pass(9);
  expect(toast()).not.toBeNull();
  pass(2);
  expect(toast()).toBeNull();
});

it('stays while the pointer is over it, and its time begins anew', () => {
  pass(9);
  point('pointerover');
  pass(60);
  expect(toast()).not.toBeNull();
  point('pointerout');
  pass(9);
  expect(toast()).not.toBeNull();
  pass(2);
  expect(toast()).toBeNull();
});

it('stays while it has the focus, and its time begins anew', () => {
  pass(9);
  act(() => button().focus());
  pass(60);
  expect(toast()).not.toBeNull();
  act(() => button().blur());
  pass(9);
  expect(toast()).not.toBeNull();
  pass(2);
  expect(toast()).toBeNull();
});

it('stays for the one of focus and pointer that is left', () => {
  act(() => button().focus());
  point('pointerover');
  act(() => button().blur());
  pass(60);
  expect(toast()).not.toBeNull();
});

it('keeps the focus while it works, and says what went wrong', async () => {
  act(() => button().focus());
  act(() => button().click());
  expect(document.activeElement).toBe(button());
  await act(async () => {
    fail(new Error('no'));
    await Promise.resolve();
  });
  expect(toast()?.textContent).toContain('Something went wrong');
  expect(document.activeElement).toBe(button());
  act(() => button().click());
  await act(async () => {
    done();
    await Promise.resolve();
  });
  expect(toast()).toBeNull();
});

it('takes a lost focus of those who go by the keyboard, and Escape closes it', () => {
  expect(document.activeElement).toBe(document.body);
  act(() => clearToasts());
  document.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter' }));
  act(() => showToast('Deleted.', 'Undo', () => Promise.resolve()));
  expect(document.activeElement).toBe(button());
  act(() => {
    button().dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }));
  });
  expect(toast()).toBeNull();
});

/** A page with rows, of which each can be taken away. */
function Rows({ rows }: { rows: string[] }) {
  const home = useRef<HTMLElement>(null);
  useKeptFocus(home);
  return (
    <main ref={home}>
      <h1>Chats</h1>
      {rows.map((row) => (
        <button key={row}>{row}</button>
      ))}
    </main>
  );
}

const page = (...rows: string[]) =>
  act(() =>
    root.render(
      <>
        <Rows rows={rows} />
        <Toasts />
      </>,
    ),
  );
const row = (name: string) =>
  [...box.querySelectorAll('button')].find((one) => one.textContent === name)?.focus();
const undo = () => box.querySelector<HTMLElement>('.toast button');
const escape = () => {
  act(() => {
    undo()?.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }));
  });
  pass(0.05);
};
const focused = () => document.activeElement?.textContent;

it('gives the focus back to where one came from when Escape closes it', () => {
  page('one', 'two');
  act(() => row('two'));
  act(() => undo()?.focus());
  expect(focused()).toBe('Undo');
  escape();
  expect(toast()).toBeNull();
  expect(focused()).toBe('two');
});

it('gives the focus to what is near where that is gone, and to the heading where nothing is', () => {
  page('one', 'two', 'three');
  act(() => row('two'));
  act(() => undo()?.focus());
  page('one', 'three');
  escape();
  expect(focused()).toBe('three');
  act(() => showToast('Deleted.', 'Undo', () => Promise.resolve()));
  act(() => undo()?.focus());
  page();
  escape();
  expect(focused()).toBe('Chats');
});

it('gives the focus back when what it offers is done', async () => {
  page('one');
  act(() => row('one'));
  act(() => undo()?.focus());
  act(() => undo()?.click());
  await act(async () => {
    done();
    await Promise.resolve();
  });
  pass(0.05);
  expect(toast()).toBeNull();
  expect(focused()).toBe('one');
});
