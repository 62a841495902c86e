// The pictures of a character, as a front end sees them: added by its owner, seen by those who see the character.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { png } from '../lib/pictures.mjs';
import { eventually } from './client.mjs';
import { Server } from './server.mjs';

let server;
let folder;
before(async () => {
  // One place for all servers, where there are several.
  folder = await mkdtemp(join(tmpdir(), 'aim-gallery-'));
  server = await Server.start({ env: { AIM_MEDIA__DIR: folder } });
});
after(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function call(who, method, where, body) {
  const headers = who ? { authorization: `Bearer ${who.token}` } : {};
  if (body && !(body instanceof FormData)) headers['content-type'] = 'application/json';
  const sent = body instanceof FormData || body === undefined ? body : JSON.stringify(body);
  const answer = await fetch(server.url + where, { method, headers, body: sent, redirect: 'manual' });
  const isJson = answer.headers.get('content-type')?.includes('json');
  return { status: answer.status, type: answer.headers.get('content-type'), body: isJson ? await answer.json() : undefined };
}

async function upload(who, size) {
  const form = new FormData();
  form.append('file', new Blob([png(size, size)]), 'any.png');
  const { status, body } = await call(who, 'POST', '/api/uploads', form);
  assert.equal(status, 201);
  return body.upload.id;
}

test('a gallery is its owner’s to change, and seen by those who see its character', async () => {
  const [tess, finn] = [await server.register(), await server.register()];
  const made = await call(tess, 'POST', '/api/characters', { name: 'Mara', visibility: 'public' });
  const path = `/api/characters/${made.body.character.id}/gallery`;
  assert.deepEqual((await call(finn, 'GET', path)).body, { items: [] });

  // One that is still being processed is waited for.
  const uploadId = await upload(tess, 48);
  const added = await call(tess, 'POST', path, { uploadId, caption: 'Home.', expression: 'Joy' });
  assert.equal(added.status, 201, JSON.stringify(added.body));
  const { item } = added.body;
  assert.deepEqual(
    [item.id, item.caption, item.expression, item.position, item.width, item.height],
    [uploadId, 'Home.', 'joy', 0, 48, 48],
  );
  assert.equal(item.url, `/media/${uploadId}/display`);
  assert.equal(item.thumbnailUrl, `/media/${uploadId}/thumb`);
  assert.ok(item.blurHash.length > 6 && !Number.isNaN(Date.parse(item.createdAt)));
  const again = await call(tess, 'POST', path, { uploadId });
  assert.deepEqual([again.status, again.body.item], [201, item], 'the same one again changes nothing');
  const other = await upload(tess, 52);
  assert.equal((await call(tess, 'POST', path, { uploadId: other })).body.item.position, 1);
  assert.deepEqual((await call(finn, 'GET', path)).body.items.map(({ id }) => id), [uploadId, other]);

  const theirs = await upload(finn, 30);
  for (const [who, method, where, body, status] of [
    [undefined, 'GET', path, undefined, 401],
    [undefined, 'POST', path, { uploadId }, 401],
    [finn, 'POST', path, { uploadId: theirs }, 404],
    [finn, 'PATCH', `${path}/${uploadId}`, { caption: 'x' }, 404],
    [finn, 'DELETE', `${path}/${uploadId}`, undefined, 404],
    [tess, 'POST', path, { uploadId: theirs }, 422],
    [tess, 'POST', path, { uploadId, caption: 'x'.repeat(501) }, 422],
    [tess, 'PATCH', `${path}/nothing`, { caption: 'x' }, 404],
    [undefined, 'GET', item.url, undefined, 401],
    [finn, 'GET', item.url, undefined, 200],
  ]) {
    assert.equal((await call(who, method, where, body)).status, status, `${method} ${where}`);
  }

  const moved = await call(tess, 'PATCH', `${path}/${uploadId}`, { position: 1, expression: null });
  assert.deepEqual([moved.body.item.position, moved.body.item.expression, moved.body.item.caption], [1, null, 'Home.']);
  await call(tess, 'PATCH', path.replace('/gallery', ''), { visibility: 'private' });
  await eventually('it is private, with its pictures', async () => (await call(finn, 'GET', path)).status === 404);
  assert.equal((await call(finn, 'GET', item.url)).status, 404);
  assert.equal((await call(tess, 'GET', item.url)).status, 200);

  assert.equal((await call(tess, 'DELETE', `${path}/${uploadId}`)).status, 204);
  assert.equal((await call(tess, 'DELETE', `${path}/${uploadId}`)).status, 404);
  assert.equal((await call(tess, 'GET', item.url)).status, 404, 'its bytes go with it');
  assert.deepEqual((await call(tess, 'GET', path)).body.items.map(({ id }) => id), [other]);
});

test('whoever talks with a private character sees its faces, and no other pictures', async () => {
  const [tess, finn] = [await server.register(), await server.register()];
  const { id } = (await call(tess, 'POST', '/api/characters', { name: 'Mara' })).body.character;
  const path = `/api/characters/${id}/gallery`;
  const [face, sketch] = [await upload(tess, 40), await upload(tess, 44)];
  for (const [uploadId, expression] of [[face, 'joy'], [sketch, undefined]]) {
    assert.equal((await call(tess, 'POST', path, { uploadId, expression })).status, 201);
  }
  assert.equal((await call(finn, 'GET', path)).status, 404);
  const talk = await tess.conversation({ id });
  await tess.must('POST', `/api/conversations/${talk.id}/members`, { userId: finn.id });
  assert.deepEqual((await call(finn, 'GET', path)).body.items.map((item) => item.id), [face]);
  assert.deepEqual((await call(tess, 'GET', path)).body.items.map((item) => item.id), [face, sketch]);
  assert.equal((await call(finn, 'GET', `/media/${face}/thumb`)).status, 200);
  assert.equal((await call(finn, 'GET', `/media/${sketch}/thumb`)).status, 404);
  await finn.must('DELETE', `/api/conversations/${talk.id}/members`, { userId: finn.id });
  assert.equal((await call(finn, 'GET', path)).status, 404);
  assert.equal((await call(finn, 'GET', `/media/${face}/thumb`)).status, 404);
});

test('an archive of a card takes its pictures along', async () => {
  const tess = await server.register();
  const made = await call(tess, 'POST', '/api/characters', { name: 'Mara' });
  const { id } = made.body.character;
  for (const [size, expression] of [[40, 'joy'], [44, undefined]]) {
    const uploadId = await upload(tess, size);
    assert.equal((await call(tess, 'POST', `/api/characters/${id}/gallery`, { uploadId, expression })).status, 201);
  }
  const file = await fetch(`${server.url}/api/characters/${id}/export?format=charx`, { headers: { authorization: `Bearer ${tess.token}` } });
  assert.equal(file.headers.get('content-type'), 'application/zip');
  const form = new FormData();
  form.append('file', new Blob([await file.arrayBuffer()]), 'mara.charx');
  const imported = await call(tess, 'POST', '/api/characters/import', form);
  assert.deepEqual([imported.status, imported.body.pictures, imported.body.warnings], [201, 2, []]);
  const { items } = (await call(tess, 'GET', `/api/characters/${imported.body.character.id}/gallery`)).body;
  assert.deepEqual(items.map((item) => [item.width, item.expression]), [[40, 'joy'], [44, null]]);
});
