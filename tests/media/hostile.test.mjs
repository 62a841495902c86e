// Files that mean harm, sent to the real server: each ends in an error that a person understands, or in a picture with
// nothing of what was hidden in it; the server stays up, and its memory flat.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { eventually } from '../contract/client.mjs';
import { Server } from '../contract/server.mjs';
import { png } from '../lib/pictures.mjs';
import { hostileFiles } from './forge.mjs';

/** A file of this kind is judged within this, on a machine that does other things too. */
const patience = 30_000;

let server;
before(async () => { server = await Server.start(); });
after(async () => { await server?.stop(); });

const call = (who, method, where, headers = {}, body) => (
  fetch(server.url + where, { method, headers: { authorization: `Bearer ${who.token}`, ...headers }, body })
);

/** Sends it under an innocent name and type; the answer, and what became of an upload that was taken. */
async function upload(who, bytes) {
  const form = new FormData();
  form.append('file', new Blob([bytes], { type: 'image/png' }), 'holiday.png');
  const answer = await call(who, 'POST', '/api/uploads', {}, form);
  const body = await answer.json();
  if (answer.status !== 201) return { status: answer.status, ...body };
  const { id } = body.upload;
  return eventually(`what becomes of ${id}`, async () => {
    const { upload: now } = await who.must('GET', `/api/uploads/${id}`);
    return now.status !== 'processing' && { status: 201, upload: now };
  }, patience);
}

/** What is wrong with what became of the file, if anything. */
async function judge(who, { bytes, outcome }) {
  const { status, code, detail, upload: taken } = await upload(who, bytes);
  if (outcome.status) {
    assert.deepEqual([status, code], [outcome.status, outcome.code], detail);
    assert.match(detail, outcome.told);
    return;
  }
  assert.equal(status, 201, detail);
  if (outcome.failed) {
    assert.equal(taken.status, 'failed');
    assert.match(taken.error, outcome.failed);
    return;
  }
  assert.equal(taken.status, 'ready', taken.error);
  if (outcome.lengthMs) {
    assert.equal(taken.lengthMs, outcome.lengthMs);
    return;
  }
  assert.deepEqual(taken.variants.map(({ name }) => name), ['thumb', 'display', 'full']);
  for (const { url } of taken.variants) {
    const shown = await call(who, 'GET', url);
    assert.deepEqual([shown.status, shown.headers.get('content-type'), shown.headers.get('x-content-type-options')], [200, 'image/webp', 'nosniff']);
    assert.ok(!Buffer.from(await shown.arrayBuffer()).includes(outcome.hidden), `${outcome.hidden} is still in it`);
  }
  // As it came it is nobody's any more.
  assert.equal((await call(who, 'GET', `/media/${taken.id}/original`)).status, 404);
}

const pid = () => server.fleet.servers[0].pid;

/** Megabytes of the server's memory: now, and at the most since `clearPeak`. */
function memory() {
  const status = readFileSync(`/proc/${pid()}/status`, 'utf8');
  const of = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)[1]) / 1_024;
  return { now: of('VmRSS'), most: of('VmHWM') };
}
const clearPeak = () => writeFileSync(`/proc/${pid()}/clear_refs`, '5');

/**
 * What may come on top at the most, in MB. `config.default.toml` allows a picture some 400 MB while it is processed: 128 MB of
 * pixels, and buffers of decoder and encoders. No file here may come near that: what is too large is refused by its header,
 * before a pixel is decoded, and what is taken is small. So the bound is the pixels alone, which a file that
 * slipped past its header would fill and exceed with the first buffer.
 */
const PEAK = 128;
/** And what may stay, once all came a second time: less than the smallest of the bombs would leave. */
const STAYS = 32;

test('each hostile file ends in a clear error or a clean picture, and memory stays flat', async (t) => {
  const ada = await server.register();
  const files = await hostileFiles();
  assert.ok(files.length >= 20, `${files.length} files`);
  const first = pid();
  // What a good picture takes is there already, and no file's fault.
  assert.equal((await upload(ada, png(1_200, 900))).upload.status, 'ready');

  const round = async () => {
    clearPeak();
    const before = memory();
    const wrong = [];
    for (const file of files) {
      const began = memory();
      await judge(ada, file).catch((error) => wrong.push(`${file.name}: ${error.message}`));
      const { most } = memory();
      if (most - began.most > 20) t.diagnostic(`${file.name}: ${Math.round(most - began.most)} MB more at the peak`);
    }
    assert.deepEqual(wrong, []);
    const { now, most } = memory();
    return { now, grown: most - before.now };
  };
  const [one, two] = [await round(), await round()];
  t.diagnostic(`${files.length} files: ${Math.round(one.grown)} and ${Math.round(two.grown)} MB more at the peak, ${Math.round(two.now - one.now)} MB more after the second round than after the first`);
  for (const { grown } of [one, two]) assert.ok(grown < PEAK, `${Math.round(grown)} MB more at the peak`);
  assert.ok(two.now - one.now < STAYS, `${Math.round(two.now - one.now)} MB stayed`);

  assert.equal(pid(), first, 'it is the same process');
  assert.equal((await upload(ada, png(640, 480))).upload.status, 'ready', 'and it takes what is good');
  server.fleet.assertNobodyFell();
});

test('a length that is wrong harms nobody', async () => {
  const ada = await server.register();
  const picture = png(200, 200);
  const tus = { 'tus-resumable': '1.0.0' };
  const part = { ...tus, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' };
  const begin = async (length) => call(ada, 'POST', '/api/uploads/tus', { ...tus, 'upload-length': String(length) });
  for (const [length, status, code] of [['-1', 422, 'validation'], ['many', 422, 'validation'], ['9'.repeat(30), 422, 'validation'], [2 ** 52, 413, 'payload_too_large']]) {
    const refused = await begin(length);
    const { code: said, detail } = await refused.json();
    assert.deepEqual([refused.status, said], [status, code], detail);
  }
  // More than was said.
  const at = (await begin(100)).headers.get('location');
  const more = await call(ada, 'PATCH', at, part, picture);
  assert.deepEqual([more.status, (await more.json()).code], [413, 'payload_too_large']);
  // Less than was said: the line ends in the middle.
  const { hostname, port } = new URL(server.url);
  const line = connect(Number(port), hostname);
  const heard = [];
  line.on('data', (bytes) => heard.push(bytes)).on('error', () => undefined);
  const ended = new Promise((done) => { line.on('close', done); });
  line.end([
    'POST /api/uploads HTTP/1.1', `Host: ${hostname}`, `Authorization: Bearer ${ada.token}`, 'Content-Type: multipart/form-data; boundary=b',
    'Content-Length: 1000000', '', '--b', 'Content-Disposition: form-data; name="file"; filename="a.png"', '', picture.subarray(0, 300).toString('latin1'),
  ].join('\r\n'));
  await ended;
  const said = Buffer.concat(heard).toString();
  assert.ok(said === '' || /^HTTP\/1\.1 4\d\d /.test(said), said);
  assert.equal((await upload(ada, picture)).upload.status, 'ready');
  server.fleet.assertNobodyFell();
});
