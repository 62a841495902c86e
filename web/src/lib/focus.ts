/**
 * Where the focus goes when what had it is taken away: a browser drops it to the start of the page, where nobody was who
 * goes by the keyboard.
 */
import { useEffect, useLayoutEffect, useRef, type RefObject } from 'react';

let byKey = false;
document.addEventListener('keydown', () => (byKey = true), true);
document.addEventListener('pointerdown', () => (byKey = false), true);

/** Whether the last thing that was done was done with a key. */
export const goesByKey = (): boolean => byKey;

/** Whether nothing has the focus. */
export const isFocusLost = (): boolean =>
  document.activeElement === null || document.activeElement === document.body;

/** Gives the focus to `home`, which opened something, once that is done with and nothing else took the focus. */
export function useFocusBack(isOpen: boolean, home: RefObject<HTMLElement | null>): void {
  const wasOpen = useRef(isOpen);
  // Before the next frame, in which a box that keeps the focus looks for somewhere else.
  useLayoutEffect(() => {
    if (wasOpen.current && !isOpen && isFocusLost()) home.current?.focus();
    wasOpen.current = isOpen;
  }, [isOpen, home]);
}

/** From an element up to a box: each parent, and which of its children leads down. */
type Path = readonly { parent: Element; at: number }[];

function pathOf(element: Element, box: Element): Path {
  const path = [];
  for (let child = element; child !== box && child.parentElement !== null; child = child.parentElement)
    path.push({ parent: child.parentElement, at: [...child.parentElement.children].indexOf(child) });
  return path;
}

/**
 * What is pressed, or scrolled; a field would call the keyboard of a phone, and whoever still holds Enter down must not
 * send a form by it.
 */
const STOPS = 'a[href], button:not([type="submit"]), summary, [tabindex="0"]';

function stops(element: Element | undefined): HTMLElement[] {
  if (element === undefined) return [];
  const inside = [...element.querySelectorAll<HTMLElement>(STOPS)];
  return element instanceof HTMLElement && element.matches(STOPS) ? [element, ...inside] : inside;
}

function focusNear(path: Path, box: HTMLElement): void {
  const { parent, at } = path.find((step) => step.parent.isConnected) ?? { parent: box, at: 0 };
  const here = parent.children[at];
  const headings = [here, parent.closest('section, article, dialog, main')]
    .map((one) => one?.querySelector<HTMLElement>('h1, h2, h3'))
    .filter((one) => one != null);
  for (const heading of headings) heading.tabIndex = -1;
  // What scrolls around it is nearer than the heading of all.
  const around = parent.closest<HTMLElement>('[tabindex="0"]');
  const ends = around !== null && box.contains(around) ? [around, ...headings] : headings;
  // What is disabled or hidden does not take it.
  for (const one of [...stops(here), ...stops(parent.children[at - 1]).reverse(), ...ends]) {
    one.focus({ preventScroll: true });
    if (document.activeElement === one) return;
  }
}

/** Where the focus was last in a page that keeps it. */
let place: { home: HTMLElement; element: HTMLElement; path: Path } | undefined;

/** Gives the focus back to the page, from something that stands over it: where it was, or near there, or to the heading. */
export function focusBack(): void {
  if (place?.home.isConnected) {
    const { home, element, path } = place;
    element.focus({ preventScroll: true });
    if (isFocusLost()) focusNear(path, home);
  }
  if (!isFocusLost()) return;
  const heading = document.querySelector<HTMLElement>('main h1');
  if (heading === null) return;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

/**
 * Keeps the focus within `box`: when what had it is gone, what stands in its place gets it, or what stood before it, or
 * a heading; when it only could not be used for a while, it gets it back.
 */
export function useKeptFocus(box: RefObject<HTMLElement | null>): void {
  useEffect(() => {
    const home = box.current;
    if (home === null) return;
    let last: { element: HTMLElement; path: Path; wasDisabled: boolean } | undefined;
    const keep = (element: HTMLElement, wasDisabled: boolean) => {
      const path = pathOf(element, home);
      last = { element, path, wasDisabled };
      place = { home, element, path };
    };
    const note = ({ target }: FocusEvent) => {
      if (target instanceof HTMLElement && home.contains(target)) keep(target, false);
      else last = undefined;
    };
    // Who points somewhere else has left it.
    const point = ({ target }: PointerEvent) => {
      if (!(target instanceof Node) || !last?.element.contains(target)) last = undefined;
    };
    const look = () => {
      if (last === undefined) return;
      const { element, path, wasDisabled } = last;
      if (!element.isConnected) {
        last = undefined;
        // A dialog that closes, and what comes in its place, may have their own idea of it.
        requestAnimationFrame(() => {
          if (isFocusLost() && home.isConnected) focusNear(path, home);
        });
        return;
      }
      const isDisabled = element.matches(':disabled');
      keep(element, isDisabled);
      // Only what was disabled lost it against somebody's will.
      if (wasDisabled && !isDisabled && isFocusLost()) element.focus({ preventScroll: true });
    };
    const observer = new MutationObserver(look);
    observer.observe(home, { childList: true, subtree: true, attributeFilter: ['disabled'] });
    document.addEventListener('focusin', note);
    document.addEventListener('pointerdown', point, true);
    return () => {
      observer.disconnect();
      document.removeEventListener('focusin', note);
      document.removeEventListener('pointerdown', point, true);
    };
  }, [box]);
}
