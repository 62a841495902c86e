/**
 * A form that is kept on the server while it is filled in, so that it goes on after a reload, or on another device, for a
 * day from its last change. Of two devices the one that saved last wins, and the other is told: `elsewhere` is always what
 * the server has, where another device saved it.
 */
import { ApiError } from '../api/client';
import type { DraftItem } from '../api/types';
import { createStore } from '../lib/store';

/** After the last key: each save is a call, and calls are counted. */
export const PAUSE = 2_500;

/** As the server has it. */
export type KeptDraft = Pick<DraftItem, 'data' | 'savedAt'>;

/** Where drafts lie. */
export interface DraftPlace {
  /** Undefined where there is none. Rejects where that cannot be told now. */
  read: () => Promise<KeptDraft | undefined>;
  save: (data: Record<string, unknown>) => Promise<KeptDraft>;
  remove: () => Promise<void>;
}

/** What was typed last and the server did not take yet, as the page has it at hand that is closed before it does. */
export interface Copy<T> {
  value: T;
  at: string;
  /** When the version was saved that it came after; null where there was none. */
  after: string | null;
  /** The page that saved, and would have saved this. */
  page: string;
}

/** Where such a copy lies: at once there, and on this device alone. */
export interface CopyPlace<T> {
  read: () => Copy<T> | undefined;
  write: (copy: Copy<T> | undefined) => void;
}

export type Elsewhere<T> = { savedAt: string; value: T } | { savedAt: null };

export interface DraftState<T> {
  /** Undefined until it was looked for. */
  start: T | undefined;
  /** Whether `start` is what was kept. */
  restored: boolean;
  /** What another device made of it meanwhile: another version, or an end. */
  elsewhere: Elsewhere<T> | undefined;
  /** Why the last change is not kept, where a later one will not be either. */
  trouble: string | undefined;
}

const TOO_LARGE =
  'together it is over 64 KB. It stays here while this page is open: save it, and it is kept.';

/** The name under which a draft says which page saved it. */
const SAVED_BY = 'savedBy';

export class DraftKeeper<T extends object> {
  readonly store = createStore<DraftState<T>>({
    start: undefined,
    restored: false,
    elsewhere: undefined,
    trouble: undefined,
  });
  readonly #place: DraftPlace;
  readonly #blank: T;
  readonly #copies: CopyPlace<T>;
  #page: string;
  #waiting: T | undefined;
  /** The last change, until the server has it. */
  #unkept: T | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Saves and the removal come one after the other. */
  #saving: Promise<void> = Promise.resolve();
  /** What the page shows. */
  #shown: T;
  /** When the version was saved that this page knows; null where there is none, undefined where that could not be told. */
  #known: string | null | undefined;

  /** `page` is this page's own id; fields that a kept form lacks are taken from `blank`. */
  constructor(place: DraftPlace, blank: T, page: string, copies: CopyPlace<T>) {
    this.#place = place;
    this.#blank = blank;
    this.#shown = blank;
    this.#copies = copies;
    this.#page = page;
  }

  /** Whether the server has all of it. */
  get isKept(): boolean {
    return this.#unkept === undefined;
  }

  /** Looks for what was kept. Who left the form before all of it was comes back to it as it was left. */
  async open(): Promise<void> {
    const left = this.#unkept;
    if (left !== undefined) {
      await this.look();
      // What another device made of it meanwhile stays until one changes something.
      if (this.#unkept === left && this.store.get().elsewhere === undefined) this.keep(left);
      return;
    }
    const copy = this.#copies.read();
    try {
      const kept = await this.#place.read();
      this.#known = kept?.savedAt ?? null;
      if (copy !== undefined && isNewer(copy, kept)) this.#goOn(copy, kept);
      else this.#begin(kept ? this.#valueOf(kept) : this.#blank, kept !== undefined);
    } catch {
      // The form is of more use than the draft.
      if (copy !== undefined) this.#goOn(copy, undefined);
      else this.#begin(this.#blank, false);
    }
  }

  /** Keeps this, a little later. */
  keep(value: T): void {
    this.#waiting = this.#unkept = this.#shown = value;
    const { page, after } = { page: this.#page, after: this.#known ?? null };
    this.#copies.write({ value, at: new Date().toISOString(), after, page });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.flush(), PAUSE);
  }

  /** Saves at once what waits. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    const value = this.#waiting;
    this.#waiting = undefined;
    if (value === undefined) return this.#saving;
    return this.#next(async () => {
      const saved = await this.#place.save({ ...value, [SAVED_BY]: this.#page });
      this.#known = saved.savedAt;
      if (this.#unkept === value) {
        this.#unkept = undefined;
        this.#copies.write(undefined);
      }
      // This one is the last now.
      this.#patch({ elsewhere: undefined, trouble: undefined });
    });
  }

  /** One leaves the form: it is saved once more, and where it cannot be, it begins with this when one comes back. */
  async leave(): Promise<void> {
    if (this.#unkept !== undefined) {
      if (this.store.get().elsewhere === undefined) this.#waiting = this.#unkept;
      this.#patch({ start: this.#unkept, restored: true });
    }
    return this.flush();
  }

  /** It is done, or given up. */
  async drop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#waiting = this.#unkept = undefined;
    this.#copies.write(undefined);
    this.#patch({ elsewhere: undefined, trouble: undefined });
    return this.#next(async () => {
      const wasKept = this.#known !== null;
      this.#known = null;
      if (wasKept) await this.#place.remove();
    });
  }

  /** The server tells when the draft was saved, or that it is gone. What this page did itself is no news. */
  async heard(savedAt: string | null): Promise<void> {
    await this.#saving;
    if (savedAt !== this.#known) await this.look();
  }

  /** Compares with what the server has: events may have been missed. */
  async look(): Promise<void> {
    await this.#saving;
    const kept = await this.#place.read().catch(() => null);
    // Not to be told now, or this page saved meanwhile.
    if (kept === null) return;
    if (kept === undefined) {
      if (this.#known) this.#patch({ elsewhere: { savedAt: null } });
      this.#known = null;
      return;
    }
    if (kept.savedAt === this.#known || kept.data[SAVED_BY] === this.#page) return;
    this.#known = kept.savedAt;
    const value = this.#valueOf(kept);
    // It says what is shown here: the page that saved it was this one before it was loaded anew.
    if (!isSame(value, this.#shown)) this.#patch({ elsewhere: { savedAt: kept.savedAt, value } });
  }

  /** One goes on with what one has. */
  dismiss(): void {
    this.#patch({ elsewhere: undefined });
  }

  #begin(start: T, restored: boolean): void {
    this.#shown = start;
    this.#patch({ start, restored });
  }

  /** Goes on with what a page had at hand when it was closed, and tells what another device made of the rest since. */
  #goOn(copy: Copy<T>, kept: KeptDraft | undefined): void {
    const value = { ...this.#blank, ...copy.value };
    this.#page = copy.page;
    this.#begin(value, true);
    if (isOwn(copy, kept)) this.keep(value);
    else this.#unkept = value;
    if (this.#known !== undefined && !isOwn(copy, kept))
      this.#patch({
        elsewhere:
          kept === undefined ? { savedAt: null } : { savedAt: kept.savedAt, value: this.#valueOf(kept) },
      });
  }

  #valueOf(kept: KeptDraft): T {
    const { [SAVED_BY]: _, ...data } = kept.data;
    return { ...this.#blank, ...(data as Partial<T>) };
  }

  #next(act: () => Promise<unknown>): Promise<void> {
    this.#saving = this.#saving.then(act).then(
      () => undefined,
      // Out of reach for now: the next change saves all of it.
      (error: unknown) => {
        if (!(error instanceof ApiError)) throw error;
        if (error.code === 'payload_too_large') this.#patch({ trouble: TOO_LARGE });
        else if (error.code === 'conflict') this.#patch({ trouble: error.message });
      },
    );
    return this.#saving;
  }

  #patch(change: Partial<DraftState<T>>): void {
    this.store.set({ ...this.store.get(), ...change });
  }
}

/** Whether nobody else changed what a copy came after. */
function isOwn<T>({ after, page }: Copy<T>, kept: KeptDraft | undefined): boolean {
  return kept === undefined ? after === null : kept.savedAt === after || kept.data[SAVED_BY] === page;
}

/** Of this page's own the copy always is: what it held was not saved yet. */
const isNewer = <T>(copy: Copy<T>, kept: KeptDraft | undefined): boolean =>
  kept === undefined || isOwn(copy, kept) || copy.at > kept.savedAt;

/** The server may answer the names of an object in another order. */
function isSame(one: unknown, other: unknown): boolean {
  const sorted = (_: string, value: unknown): unknown =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value;
  return JSON.stringify(one, sorted) === JSON.stringify(other, sorted);
}
