import { afterEach, expect, test, vi } from 'vitest';
import type { GalleryItem } from '../api/types';
import {
  clearGalleries,
  galleries,
  loadGallery,
  removePicture,
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
  vi.useRealTimers();
});

test('of a burst of changes few are read, and the last of them is', async () => {
  vi.useFakeTimers();
  const server = new Server();
  let reads = 0;
  vi.stubGlobal('fetch', () => {
    reads += 1;
    return Promise.resolve(Response.json({ items: server.fetch() }));
  });
  const ids = () => galleries.get()['mara']?.map(({ id }) => id);
  await renewGallery('mara');
  expect(reads, 'what nobody looks at is not read').toBe(0);
  await loadGallery('mara');
  server.add('a');
  await renewGallery('mara');
  expect([reads, ids()], 'the first at once').toEqual([2, ['a']]);
  const burst = ['b', 'c', 'd', 'e'];
  const later = burst.map((id) => {
    server.add(id);
    return renewGallery('mara');
  });
  later.push(renewGalleries());
  await vi.advanceTimersByTimeAsync(5_000);
  await Promise.all(later);
  expect([reads, ids()], 'the others together').toEqual([3, ['a', ...burst]]);
  await vi.advanceTimersByTimeAsync(60_000);
  server.add('i');
  await renewGallery('mara');
  expect([reads, ids()]).toEqual([4, ['a', ...burst, 'i']]);
});

test('what is changed here is not undone by what was read before', async () => {
  const server = new Server();
  server.add('a');
  server.add('b');
  let answer: (() => void) | undefined;
  vi.stubGlobal('fetch', async (_: string, { method }: { method?: string } = {}) => {
    if (method === 'DELETE') {
      server.remove('a');
      return new Response(null, { status: 204 });
    }
    const items = server.fetch();
    if (galleries.get()['mara'] !== undefined) await new Promise<void>((done) => (answer = done));
    return Response.json({ items });
  });
  const ids = () => galleries.get()['mara']?.map(({ id }) => id);
  await loadGallery('mara');
  const reading = renewGallery('mara');
  await vi.waitFor(() => expect(answer).toBeDefined());
  await removePicture('mara', 'a');
  answer?.();
  await reading;
  expect(ids()).toEqual(['b']);
});

test('what waits to be read for one account is not read for the next', async () => {
  vi.useFakeTimers();
  let reads = 0;
  vi.stubGlobal('fetch', () => {
    reads += 1;
    return Promise.resolve(Response.json({ items: [] }));
  });
  await loadGallery('mara');
  await renewGallery('mara');
  const waits = renewGallery('mara');
  clearGalleries();
  await vi.advanceTimersByTimeAsync(5_000);
  await waits;
  expect([reads, galleries.get()]).toEqual([2, {}]);
});
