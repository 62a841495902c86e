import { expect, test } from 'vitest';
import type { GalleryItem } from '../api/types';
import { withAdded, withChanged, withoutPicture } from './gallery';

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
