// Something is said, and the character answers what was said: speech of espeak-ng as a browser would record it, a real
// whisper, and the real server between them.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Server } from '../contract/server.mjs';
import { Daemon } from '../lib/daemon.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const python = path.join(here, '.venv/bin/python');
/** A small machine that is busy takes this long for a sentence. */
const patience = 60_000;

class Transcriber extends Daemon {
  static async start() {
    if (!existsSync(python)) throw new Error(`${python} is not there: make test installs it`);
    const transcriber = new Transcriber('transcriber');
    await transcriber.lease();
    await transcriber.run([python, path.join(here, 'transcriber.py'), String(transcriber.port)], async () => {
      const answer = await fetch(`${transcriber.url}/models`);
      assert.equal(answer.status, 200);
    });
    return transcriber;
  }

  get url() {
    return `http://127.0.0.1:${this.port}/v1`;
  }

  get env() {
    return { AIM_TRANSCRIPTION__BASE_URL: this.url, AIM_TRANSCRIPTION__MODEL: 'tiny.en', AIM_TRANSCRIPTION__API_KEY: 'whisper-key' };
  }
}

let transcriber;
let server;
let folder;
before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'aim-speech-'));
  transcriber = await Transcriber.start();
  server = await Server.start({ env: transcriber.env });
});
after(async () => {
  await server?.stop();
  await transcriber?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The words as sound, in the container and with the codec given. */
function spoken(words, container, ...codec) {
  const [wav, file] = [path.join(folder, 'said.wav'), path.join(folder, `said.${container}`)];
  execFileSync('espeak-ng', ['-s', '140', '-w', wav, words]);
  if (container !== 'wav') execFileSync('ffmpeg', ['-y', '-loglevel', 'error', '-i', wav, ...codec, file]);
  return readFileSync(file);
}

async function upload(who, bytes) {
  const form = new FormData();
  form.append('file', new Blob([bytes]), 'recording');
  const answer = await fetch(`${server.url}/api/uploads`, { method: 'POST', headers: { authorization: `Bearer ${who.token}` }, body: form });
  assert.equal(answer.status, 201, await answer.clone().text());
  return (await answer.json()).upload;
}

for (const [container, type, ...codec] of [
  ['webm', 'audio/webm', '-c:a', 'libopus', '-b:a', '32k'],
  ['m4a', 'audio/mp4', '-c:a', 'aac'],
]) {
  test(`a voice message (${container}) is understood, and answered`, async () => {
    const ada = await server.register();
    const conversation = await ada.conversation();
    const socket = await ada.socket({ join: [conversation] });
    const { id } = await upload(ada, spoken('Tell me a story about the storm last night.', container, ...codec));
    const { upload: ready } = await socket.until('upload:updated', (told) => told.upload.id === id && told.upload.status !== 'processing', patience);
    assert.deepEqual([ready.status, ready.mimeType], ['ready', type], JSON.stringify(ready));
    assert.match(ready.transcript, /story about the storm/i);
    const sent = await socket.ask('message:send', { conversationId: conversation.id, clientId: crypto.randomUUID(), type: 'audio', uploadId: id });
    assert.equal(sent.ok, true, JSON.stringify(sent));
    assert.equal(sent.message.media.transcript, ready.transcript);
    const reply = await socket.reply(sent.message.id);
    assert.ok(reply.text.length > 0);
    // What was said is what the model was asked.
    assert.match(server.model.calls.at(-1).last, /story about the storm/i);
  });
}
