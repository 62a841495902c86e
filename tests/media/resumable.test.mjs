// Uploads that go on after a cut, by tus's own client.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Upload } from 'tus-js-client';
import { Server } from '../contract/server.mjs';
import { eventually } from '../contract/client.mjs';
import { png } from '../lib/pictures.mjs';

let server;
before(async () => { server = await Server.start(); });
after(async () => { await server?.stop(); });

/** A started upload of the bytes; `ended` settles with its address. */
function begin(who, bytes, { onProgress = () => {}, ...options } = {}) {
  let upload;
  const ended = new Promise((done, fail) => {
    upload = new Upload(bytes, {
      endpoint: `${server.url}/api/uploads/tus`,
      headers: { authorization: `Bearer ${who.token}` },
      metadata: { filename: 'holiday.png', filetype: 'image/png' },
      chunkSize: 512 * 1024,
      retryDelays: [0, 100, 500],
      onProgress: (sent) => onProgress(sent, upload),
      onSuccess: () => done(upload.url),
      onError: fail,
      ...options,
    });
  });
  upload.start();
  return { upload, ended };
}

const picture = png(1_200, 900, { noise: true });

async function isReady(who, url) {
  const id = url.split('/').at(-1);
  return eventually(`upload ${id}`, async () => {
    const { upload } = await who.must('GET', `/api/uploads/${id}`);
    assert.notEqual(upload.status, 'failed', upload.error);
    return upload.status === 'ready' && upload;
  }, 60_000);
}

test('a picture comes in parts, and is ready', async () => {
  const ada = await server.register();
  const seen = [];
  const { ended } = begin(ada, picture, { onProgress: (sent) => seen.push(sent) });
  const ready = await isReady(ada, await ended);
  assert.deepEqual([ready.kind, ready.width, ready.height], ['image', 1_200, 900]);
  assert.ok(seen.length > 3 && seen.at(-1) === picture.length, `progress: ${seen.length}`);
});

test('what was broken off goes on from where it was, also with another client', async () => {
  const ada = await server.register();
  const { upload } = begin(ada, picture);
  await eventually('a part of it', () => upload.url && upload._offset > 0);
  await upload.abort();
  const offset = Number((await fetch(upload.url, {
    method: 'HEAD', headers: { authorization: `Bearer ${ada.token}`, 'tus-resumable': '1.0.0' },
  })).headers.get('upload-offset'));
  assert.ok(offset > 0 && offset < picture.length, `${offset} of ${picture.length}`);
  let first;
  const { ended } = begin(ada, picture, { uploadUrl: upload.url, onProgress: (sent) => { first ??= sent; } });
  assert.equal(await ended, upload.url);
  assert.ok(first >= offset, 'what was there was not sent again');
  assert.equal((await isReady(ada, upload.url)).kind, 'image');
});

test('an upload that its owner breaks off for good is gone', async () => {
  const ada = await server.register();
  const { upload } = begin(ada, picture);
  await eventually('a part of it', () => upload.url && upload._offset > 0);
  await upload.abort(true);
  const answer = await fetch(upload.url, { method: 'HEAD', headers: { authorization: `Bearer ${ada.token}`, 'tus-resumable': '1.0.0' } });
  assert.equal(answer.status, 404);
});
