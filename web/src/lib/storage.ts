/** `localStorage` that is never in the way: blocked or full, it forgets. */

const PREFIX = 'aim.';
/** What belongs to a person begins so. */
const PERSONAL = ['draft.', 'unsent.', 'edits.'].map((kind) => PREFIX + kind);

export function recall(key: string): string | undefined {
  try {
    return localStorage.getItem(PREFIX + key) ?? undefined;
  } catch {
    return undefined;
  }
}

export function remember(key: string, value: string | undefined): void {
  try {
    if (value === undefined || value === '') localStorage.removeItem(PREFIX + key);
    else localStorage.setItem(PREFIX + key, value);
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
    for (const key of Object.keys(localStorage)) {
      if (PERSONAL.some((kind) => key.startsWith(kind))) localStorage.removeItem(key);
    }
  } catch {
    // Nothing was kept then.
  }
}
