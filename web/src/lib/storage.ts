/** Storage of the browser that is never in the way: blocked or full, it forgets. */

const PREFIX = 'aim.';
/** What belongs to a person begins so. */
const PERSONAL = ['draft.', 'unsent.', 'edits.', 'form.'].map((kind) => PREFIX + kind);

/** All tabs share the one; the other is of this tab, and stays with it through a reload. */
type Whose = 'localStorage' | 'sessionStorage';

export function recall(key: string, whose: Whose = 'localStorage'): string | undefined {
  try {
    return window[whose].getItem(PREFIX + key) ?? undefined;
  } catch {
    return undefined;
  }
}

export function remember(key: string, value: string | undefined, whose: Whose = 'localStorage'): void {
  try {
    if (value === undefined || value === '') window[whose].removeItem(PREFIX + key);
    else window[whose].setItem(PREFIX + key, value);
  } catch {
    // Nothing depends on it.
  }
}

/** Whoever signs in here; what somebody else left in this browser is not theirs to see. */
export function enterPerson(id: string): void {
  const before = recall('person');
  if (before !== undefined && before !== id) forgetPerson();
  remember('person', id);
}

/** Drops what belongs to the one who leaves this browser; the theme stays. */
export function forgetPerson(): void {
  try {
    for (const storage of [localStorage, sessionStorage]) {
      for (const key of Object.keys(storage)) {
        if (PERSONAL.some((kind) => key.startsWith(kind))) storage.removeItem(key);
      }
    }
  } catch {
    // Nothing was kept then.
  }
}
