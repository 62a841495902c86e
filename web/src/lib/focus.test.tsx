import { act, useRef, useState } from 'react';
import { createRoot, type Root } from 'react-dom/client';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { useFocusBack, useKeptFocus } from './focus';

let box: HTMLElement;
let root: Root;

beforeEach(() => {
  vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', true);
  box = document.body.appendChild(document.createElement('div'));
  root = createRoot(box);
});
afterEach(() => {
  act(() => root.unmount());
  box.remove();
  vi.unstubAllGlobals();
});

const named = (name: string): HTMLElement => {
  const found = [...box.querySelectorAll<HTMLElement>('button, h2')].find((one) => one.textContent === name);
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found;
};
const focused = () => document.activeElement?.textContent;

function press(name: string): void {
  act(() => named(name).focus());
  act(() => named(name).click());
}

describe('the focus of what opened something', () => {
  function Opener() {
    const [open, setOpen] = useState(false);
    const button = useRef<HTMLButtonElement>(null);
    useFocusBack(open, button);
    if (open) return <button onClick={() => setOpen(false)}>Keep</button>;
    return (
      <button ref={button} onClick={() => setOpen(true)}>
        Delete
      </button>
    );
  }

  it('comes back when that is done with', () => {
    act(() => root.render(<Opener />));
    press('Delete');
    press('Keep');
    expect(focused()).toBe('Delete');
  });

  it('is left to what has it meanwhile', () => {
    act(() =>
      root.render(
        <>
          <Opener />
          <button>Elsewhere</button>
        </>,
      ),
    );
    press('Delete');
    act(() => named('Elsewhere').focus());
    act(() => named('Keep').click());
    expect(focused()).toBe('Elsewhere');
  });
});

describe('the focus within a page', () => {
  function Rows() {
    const [rows, setRows] = useState(['one', 'two', 'three']);
    const [busy, setBusy] = useState(false);
    const home = useRef<HTMLElement>(null);
    useKeptFocus(home);
    return (
      <main ref={home}>
        <section>
          <h2>Rows</h2>
          {rows.length === 0 ? (
            <p>None.</p>
          ) : (
            <ul>
              {rows.map((row) => (
                <li key={row}>
                  <button onClick={() => setRows(rows.filter((one) => one !== row))}>{row}</button>
                </li>
              ))}
            </ul>
          )}
        </section>
        <button
          disabled={busy}
          onClick={() => {
            setBusy(true);
            setTimeout(() => act(() => setBusy(false)), 20);
          }}
        >
          Save
        </button>
      </main>
    );
  }

  it('goes to the next row, the last one before, and at the end to the heading', async () => {
    act(() => root.render(<Rows />));
    press('two');
    await vi.waitFor(() => expect(focused()).toBe('three'));
    press('three');
    await vi.waitFor(() => expect(focused()).toBe('one'));
    press('one');
    await vi.waitFor(() => expect(focused()).toBe('Rows'));
  });

  it('is given back to what could not be used for a while', async () => {
    act(() => root.render(<Rows />));
    press('Save');
    expect(named('Save')).toHaveProperty('disabled', true);
    // As a browser does it, a moment later.
    (document.activeElement as HTMLElement).blur();
    await vi.waitFor(() => expect(named('Save')).toHaveProperty('disabled', false));
    await vi.waitFor(() => expect(focused()).toBe('Save'));
  });

  it('is not given to what lost it and could be used all the time', async () => {
    act(() => root.render(<Rows />));
    act(() => named('Save').focus());
    (document.activeElement as HTMLElement).blur();
    act(() => named('one').click());
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    expect(document.activeElement).toBe(document.body);
  });

  it('is nobody’s business once one points elsewhere', async () => {
    act(() => root.render(<Rows />));
    act(() => named('one').focus());
    document.body.dispatchEvent(new Event('pointerdown', { bubbles: true }));
    (document.activeElement as HTMLElement).blur();
    act(() => named('one').click());
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    expect(document.activeElement).toBe(document.body);
  });
});
