/** The pictures of characters, read once each; what their owner changes is applied here as the server does it. */
import { http } from '../api/client';
import type { Answer, GalleryItem } from '../api/types';
import { createStore } from '../lib/store';

type Items = readonly GalleryItem[];

/** By character; undefined until they were read. */
export const galleries = createStore<Readonly<Record<string, Items>>>({});

const asked = new Map<string, Promise<void>>();

export function clearGalleries(): void {
  galleries.set({});
  asked.clear();
  renewals.clear();
  changes.clear();
}

const address = (character: string) => `/api/characters/${encodeURIComponent(character)}/gallery`;

/** How often each was changed from here. */
const changes = new Map<string, number>();

function change(character: string, how: (items: Items) => Items): void {
  changes.set(character, (changes.get(character) ?? 0) + 1);
  put(character, how);
}

function put(character: string, how: (items: Items) => Items): void {
  const known = galleries.get();
  galleries.set({ ...known, [character]: how(known[character] ?? []) });
}

export async function loadGallery(character: string): Promise<void> {
  if (galleries.get()[character] !== undefined) return;
  let reading = asked.get(character);
  if (reading === undefined) {
    reading = http
      .get<Answer<'Gallery'>>(address(character))
      .then(({ items }) => put(character, () => items))
      .finally(() => {
        // It may be another person's by now.
        if (asked.get(character) === reading) asked.delete(character);
      });
    asked.set(character, reading);
  }
  await reading;
}

/** So long after a read another waits: of a burst of changes few are read, since calls are counted. Milliseconds. */
const REST = 2_000;

/** Reads of pictures that changed, by character, each with the one that comes after it. */
interface Renewal {
  reading: Promise<void>;
  next?: Promise<void>;
}
const renewals = new Map<string, Renewal>();

/**
 * Reads pictures anew that are known here; those that are not are read when they are looked at. It is done when what is here
 * is no older than this call.
 */
export async function renewGallery(character: string): Promise<void> {
  if (galleries.get()[character] === undefined && !asked.has(character)) return;
  const before = renewals.get(character);
  if (before === undefined) return renew(character);
  before.next ??= rested(before.reading).then(() => {
    // It may be another person's by now.
    if (renewals.get(character) === before) return renew(character);
  });
  return before.next;
}

function renew(character: string): Promise<void> {
  const mine: Renewal = { reading: readAnew(character) };
  renewals.set(character, mine);
  void rested(mine.reading).then(() => {
    if (mine.next === undefined && renewals.get(character) === mine) renewals.delete(character);
  });
  return mine.reading;
}

async function readAnew(character: string): Promise<void> {
  // What is being read may be of before the change.
  await asked.get(character)?.catch(() => undefined);
  const before = changes.get(character);
  const { items } = await http.get<Answer<'Gallery'>>(address(character));
  // Nor does it know what was changed here meanwhile: that is told as well, and read then.
  if (changes.get(character) === before) put(character, () => items);
}

async function rested(reading: Promise<void>): Promise<void> {
  await reading.catch(() => undefined);
  await new Promise((done) => setTimeout(done, REST));
}

/** All that are known here: after a lost connection nobody knows what was missed. */
export async function renewGalleries(): Promise<void> {
  await Promise.all(Object.keys(galleries.get()).map(renewGallery));
}

const numbered = (items: Items): Items =>
  items.map((item, position) => (item.position === position ? item : { ...item, position }));

/** The items with this one last, if it is new. */
export function withAdded(items: Items, item: GalleryItem): Items {
  return items.some(({ id }) => id === item.id) ? items : numbered([...items, item]);
}

/** The items with this one as it is now, at its place. */
export function withChanged(items: Items, item: GalleryItem): Items {
  const others = items.filter(({ id }) => id !== item.id);
  return numbered([...others.slice(0, item.position), item, ...others.slice(item.position)]);
}

export function withoutPicture(items: Items, id: string): Items {
  return numbered(items.filter((item) => item.id !== id));
}

export async function addPicture(character: string, uploadId: string): Promise<GalleryItem> {
  const { item } = await http.post<Answer<'GalleryItem'>>(address(character), { uploadId });
  change(character, (items) => withAdded(items, item));
  return item;
}

export async function changePicture(
  character: string,
  id: string,
  news: { caption?: string; expression?: string | null; position?: number },
): Promise<void> {
  const { item } = await http.patch<Answer<'GalleryItem'>>(`${address(character)}/${id}`, news);
  change(character, (items) => withChanged(items, item));
}

export async function removePicture(character: string, id: string): Promise<void> {
  await http.delete(`${address(character)}/${id}`);
  change(character, (items) => withoutPicture(items, id));
}
