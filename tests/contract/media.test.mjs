// Pictures and voice messages end to end: uploaded, processed, told of, shown, answered, served.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { png } from '../lib/pictures.mjs';
import { eventually } from './client.mjs';
import { Server } from './server.mjs';

let server;
let folder;
before(async () => {
  // One place for all servers, where there are several.
  folder = await mkdtemp(join(tmpdir(), 'aim-media-'));
  server = await Server.start({ env: { AIM_MEDIA__DIR: folder } });
});
after(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A WAV of a tone: 8 kHz, 16 bits, one channel. */
function wav(seconds) {
  const samples = seconds * 8_000;
  const out = Buffer.alloc(44 + samples * 2);
  out.write('RIFF', 0);
  out.writeUInt32LE(36 + samples * 2, 4);
  out.write('WAVEfmt ', 8);
  out.writeUInt32LE(16, 16);
  out.writeUInt16LE(1, 20);
  out.writeUInt16LE(1, 22);
  out.writeUInt32LE(8_000, 24);
  out.writeUInt32LE(16_000, 28);
  out.writeUInt16LE(2, 32);
  out.writeUInt16LE(16, 34);
  out.write('data', 36);
  out.writeUInt32LE(samples * 2, 40);
  for (let n = 0; n < samples; n += 1) out.writeInt16LE(Math.round(Math.sin(n / 3) * 9_000), 44 + n * 2);
  return out;
}

async function call(who, method, where, headers = {}, body) {
  return fetch(server.url + where, { method, headers: { authorization: `Bearer ${who.token}`, ...headers }, body, redirect: 'manual' });
}

async function upload(who, bytes, name = 'holiday.exe') {
  const form = new FormData();
  form.append('file', new Blob([bytes]), name);
  const answer = await call(who, 'POST', '/api/uploads', {}, form);
  return { status: answer.status, body: await answer.json() };
}

const send = (socket, conversation, type, uploadId, text) => (
  socket.ask('message:send', { conversationId: conversation.id, clientId: crypto.randomUUID(), type, uploadId, text })
);

test('a picture is told of on every socket of its owner, shown to the room, and answered', async () => {
  const [ada, bob] = [await server.register(), await server.register()];
  const conversation = await ada.conversation();
  await ada.must('POST', `/api/conversations/${conversation.id}/members`, { userId: bob.id });
  const [one, two, other] = [await ada.socket({ join: [conversation] }), await ada.socket(), await bob.socket({ join: [conversation] })];
  const { status, body } = await upload(ada, png(640, 480));
  assert.equal(status, 201, JSON.stringify(body));
  const { id } = body.upload;
  for (const socket of [one, two]) {
    const { upload: ready } = await socket.until('upload:updated', (told) => told.upload.id === id && told.upload.status === 'ready', 20_000);
    assert.deepEqual([ready.width, ready.height, ready.kind], [640, 480, 'image']);
    assert.deepEqual(ready.variants.map((variant) => variant.name), ['thumb', 'display', 'full']);
  }
  assert.equal(other.of('upload:updated').length, 0, 'it is nobody else\'s business');
  assert.equal((await call(bob, 'GET', `/media/${id}/thumb`)).status, 404, 'no message shows it yet');
  const sent = await send(one, conversation, 'image', id, 'Look #picture');
  assert.equal(sent.ok, true, JSON.stringify(sent));
  const told = await other.until('message:new', ({ message }) => message.id === sent.message.id);
  assert.deepEqual([told.message.type, told.message.media.uploadId, told.message.media.width], ['image', id, 640]);
  assert.ok(told.message.media.blurHash.length > 6);
  await one.reply(sent.message.id);
  const seen = await call(bob, 'GET', told.message.media.url);
  assert.deepEqual([seen.status, seen.headers.get('content-type')], [200, 'image/webp']);
  const stranger = await server.register();
  assert.equal((await call(stranger, 'GET', told.message.media.url)).status, 404);
  assert.equal((await fetch(server.url + told.message.media.url)).status, 401);
});

test('a voice message goes on after a cut, has its length and waveform, and is served in ranges', async () => {
  const ada = await server.register();
  const conversation = await ada.conversation();
  const socket = await ada.socket({ join: [conversation] });
  const sound = wav(6);
  const tus = { 'tus-resumable': '1.0.0' };
  const begun = await call(ada, 'POST', '/api/uploads/tus', { ...tus, 'upload-length': String(sound.length) });
  assert.equal(begun.status, 201);
  const at = begun.headers.get('location');

  const { hostname, port } = new URL(server.url);
  const line = connect(Number(port), hostname);
  line.on('error', () => undefined);
  line.write([
    `PATCH ${at} HTTP/1.1`, `Host: ${hostname}`, `Authorization: Bearer ${ada.token}`, 'Tus-Resumable: 1.0.0', 'Upload-Offset: 0',
    'Content-Type: application/offset+octet-stream', `Content-Length: ${sound.length}`, '', '',
  ].join('\r\n'));
  line.write(sound.subarray(0, 40_000));
  await sleep(300);
  line.destroy();
  const stand = async () => Number((await call(ada, 'HEAD', at, tus)).headers.get('upload-offset'));
  const offset = await eventually('what came before the cut', stand);
  assert.equal(offset, 40_000);
  const part = { ...tus, 'upload-offset': String(offset), 'content-type': 'application/offset+octet-stream' };
  const rest = await call(ada, 'PATCH', at, part, sound.subarray(offset));
  assert.deepEqual([rest.status, rest.headers.get('upload-offset')], [204, String(sound.length)]);

  const id = at.split('/').at(-1);
  const { upload: ready } = await socket.until('upload:updated', (told) => told.upload.id === id && told.upload.status === 'ready', 20_000);
  assert.equal(ready.lengthMs, 6_000);
  assert.ok(ready.waveform.length > 20);
  const sent = await send(socket, conversation, 'audio', id);
  assert.equal(sent.ok, true, JSON.stringify(sent));
  assert.equal(sent.usage.audio.used, 1);
  assert.deepEqual(sent.message.media.waveform, ready.waveform);
  await socket.reply(sent.message.id);
  const range = await call(ada, 'GET', ready.url, { range: 'bytes=1000-1999' });
  assert.deepEqual([range.status, range.headers.get('content-range')], [206, `bytes 1000-1999/${sound.length}`]);
  assert.deepEqual(Buffer.from(await range.arrayBuffer()), sound.subarray(1_000, 2_000));
  assert.equal((await call(ada, 'GET', ready.url, { range: `bytes=${sound.length}-` })).status, 416);
});

test('hostile files get their code, and what is no upload of one\'s own is not sent', async () => {
  const [ada, bob] = [await server.register(), await server.register()];
  for (const [bytes, status, code] of [
    ['', 422, 'validation'],
    ['<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', 415, 'unsupported_media_type'],
    ['#!/bin/sh\necho no', 415, 'unsupported_media_type'],
    [Buffer.concat([png(8, 8), Buffer.alloc(26 * 1024 * 1024)]), 413, 'payload_too_large'],
  ]) {
    const answer = await upload(ada, bytes, 'a.png');
    assert.deepEqual([answer.status, answer.body.code], [status, code], JSON.stringify(answer.body));
  }
  const socket = await ada.socket();
  const cut = await upload(ada, png(300, 300).subarray(0, 400));
  const { upload: failed } = await socket.until('upload:updated', (told) => told.upload.id === cut.body.upload.id && told.upload.status !== 'processing', 20_000);
  assert.equal(failed.status, 'failed');
  assert.match(failed.error, /PNG/);
  const conversation = await bob.conversation();
  const theirs = await bob.socket({ join: [conversation] });
  const stolen = await send(theirs, conversation, 'image', failed.id);
  assert.deepEqual([stolen.ok, stolen.error.code], [false, 'validation']);
});
