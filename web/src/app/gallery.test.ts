import { afterEach, expect, test, vi } from 'vitest';
import type { GalleryItem } from '../api/types';
import {
  clearGalleries,
  galleries,
  loadGallery,
  renewGalleries,
  renewGallery,
  withAdded,
  withChanged,
  withoutPicture,
} from './gallery';

const item = (id: string, position: number): GalleryItem => ({
  id,
  position,
  url: `/media/${id}/display`,
  thumbnailUrl: `/media/${id}/thumb`,
  caption: '',
  expression: null,
  variants: [],
  createdAt: '2026-11-29T12:00:00.000Z',
});

/** A gallery as the server has it: every change is done to the rows, and a fetch numbers them. */
class Server {
  rows: string[] = [];
  fetch = () => this.rows.map((id, position) => item(id, position));
  add(id: string): GalleryItem {
    if (!this.rows.includes(id)) this.rows.push(id);
    return item(id, this.rows.indexOf(id));
  }
  move(id: string, place: number): GalleryItem {
    this.rows = this.rows.filter((row) => row !== id);
    this.rows.splice(place, 0, id);
    return item(id, this.rows.indexOf(id));
  }
  remove(id: string): void {
    this.rows = this.rows.filter((row) => row !== id);
  }
}

test('what a change leaves is what a fresh fetch says', () => {
  const server = new Server();
  let known: readonly GalleryItem[] = [];
  for (const id of ['a', 'b', 'c', 'd', 'b']) known = withAdded(known, server.add(id));
  expect(known).toEqual(server.fetch());
  for (const [id, place] of [
    ['d', 0],
    ['a', 99],
    ['b', 1],
    ['b', 1],
    ['c', 2],
  ] as const) {
    known = withChanged(known, server.move(id, place));
    expect(known, `${id} to ${place}`).toEqual(server.fetch());
  }
  for (const id of ['b', 'nobody', 'd']) {
    server.remove(id);
    known = withoutPicture(known, id);
    expect(known).toEqual(server.fetch());
  }
});

afterEach(() => {
  clearGalleries();
  vi.unstubAllGlobals();
});

test('what is read anew is what was asked for last', async () => {
  const server = new Server();
  const waiting: (() => void)[] = [];
  let reads = 0;
  vi.stubGlobal('fetch', async () => {
    reads += 1;
    const items = server.fetch();
    if (reads > 1) await new Promise<void>((done) => waiting.push(done));
    return Response.json({ items });
  });
  const ids = () => galleries.get()['mara']?.map(({ id }) => id);
  await renewGallery('mara');
  expect(reads, 'what nobody looks at is not read').toBe(0);
  server.add('a');
  await loadGallery('mara');
  server.add('b');
  const first = renewGallery('mara');
  await vi.waitFor(() => expect(waiting).toHaveLength(1));
  server.add('c');
  const second = renewGalleries();
  await vi.waitFor(() => expect(waiting).toHaveLength(2));
  waiting[1]?.();
  await second;
  expect(ids()).toEqual(['a', 'b', 'c']);
  waiting[0]?.();
  await first;
  expect(ids(), 'an answer of before counts no more').toEqual(['a', 'b', 'c']);
});
