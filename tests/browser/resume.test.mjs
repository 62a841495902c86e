// A network that breaks while a file is on its way: the page goes on from where it was, by itself, and says so.
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { png } from '../lib/pictures.mjs';
import { Proxy } from '../lib/proxy.mjs';
import { meet, register } from './chromium.mjs';
import { product } from './harness.mjs';

/** Bytes a second of the slow network. */
const PACE = 1024 * 1024;
const PATIENCE = 20_000;

const { aim, visit } = product({ answers: 'nobody' });

let proxy;
after(() => proxy?.close());

/** A test of somebody new who is in a chat, behind a network that the test holds in its hands: `set(offline, pace)`, and `proxy`. */
function behindNetwork(name, body) {
  visit(name, async ({ open }) => {
    proxy ??= await Proxy.before(Number(new URL(aim.url).port));
    const { context, page } = await open({ baseURL: `http://127.0.0.1:${proxy.port}` });
    await register(page);
    await meet(page);
    try {
      await body(page, { calls: watch(page), set: await network(context, page) });
    } finally {
      await proxy.heal();
    }
  });
}

/** Seven megabytes: 42 seconds of a tone that climbs, in stereo. */
function song() {
  const frames = 44_100 * 42;
  const out = Buffer.alloc(44 + frames * 4);
  out.write('RIFF', 0);
  out.writeUInt32LE(36 + frames * 4, 4);
  out.write('WAVEfmt ', 8);
  for (const [at, value] of [[16, 16], [24, 44_100], [28, 176_400], [40, frames * 4]]) out.writeUInt32LE(value, at);
  for (const [at, value] of [[20, 1], [22, 2], [32, 4], [34, 16]]) out.writeUInt16LE(value, at);
  out.write('data', 36);
  for (let n = 0; n < frames; n += 1) {
    const level = Math.round(Math.sin(n / 30 + n * n / 4e8) * 9_000);
    out.writeInt16LE(level, 44 + n * 4);
    out.writeInt16LE(-level, 46 + n * 4);
  }
  return out;
}

/** How fast the page's network is, or that there is none. */
async function network(context, page) {
  const session = await context.newCDPSession(page);
  return (offline, pace = -1) => session.send('Network.emulateNetworkConditions', {
    offline, latency: 0, downloadThroughput: -1, uploadThroughput: pace,
  });
}

/** The calls of the tus protocol that a page made, with what was answered: `{method, offset, stands}`. */
function watch(page) {
  const calls = [];
  page.on('request', (request) => {
    if (!request.url().includes('/api/uploads/tus')) return;
    const offset = request.headers()['upload-offset'];
    const call = { method: request.method(), offset: offset === undefined ? undefined : Number(offset) };
    calls.push(call);
    request.response().then((answer) => { call.stands = Number(answer?.headers()['upload-offset'] ?? Number.NaN); }, () => undefined);
  });
  return calls;
}

const bar = (page) => page.locator('progress[aria-label^="Sending"]').evaluate((one) => one.value);

/** Samples the bar until it is past `least`; answers what it saw. */
async function moving(page, least) {
  const seen = [];
  const until = Date.now() + PATIENCE;
  while ((seen.at(-1) ?? 0) < least) {
    assert.ok(Date.now() < until, `the bar stood at ${seen.at(-1)}`);
    const now = await bar(page);
    if (now !== seen.at(-1)) seen.push(now);
    await new Promise((wake) => setTimeout(wake, 30));
  }
  return seen;
}

/** That what followed the cut began where the server stood, and that nothing began anew. */
function assertWentOn(calls, size) {
  const methods = calls.map((call) => call.method);
  assert.equal(methods.filter((method) => method === 'POST').length, 1, methods.join(' '));
  const looks = calls.filter((call) => call.method === 'HEAD' && call.stands >= 0);
  assert.ok(looks.length > 0, `the server was asked where it stood: ${JSON.stringify(calls)}`);
  const last = calls.indexOf(looks.at(-1));
  const next = calls[last + 1];
  assert.deepEqual([next.method, next.offset], ['PATCH', looks.at(-1).stands], JSON.stringify(calls));
  assert.ok(next.offset > 0 && next.offset < size, `it went on from ${next.offset} of ${size}`);
}

behindNetwork('a song goes on where the network was lost, and comes whole', async (page, { calls, set }) => {
  const buffer = song();
  await set(false, PACE);
  await page.locator('[data-attach]').setInputFiles({ name: 'song.wav', mimeType: 'audio/wav', buffer });
  const seen = await moving(page, 0.3);
  assert.ok(seen.length >= 4, `the bar moved: ${seen}`);
  assert.deepEqual(seen, [...seen].sort((a, b) => a - b));

  await set(true);
  await page.getByText(/^Waiting for the network, \d+ % sent$/).waitFor();
  assert.ok(await bar(page) > 0.2, 'what is sent stays to be seen');
  await set(false);
  await page.getByText('Ready to send').waitFor({ timeout: 60_000 });
  assertWentOn(calls, buffer.length);

  await page.getByRole('button', { name: 'Send', exact: true }).click();
  const player = page.locator('[data-message] .voice audio');
  await player.waitFor();
  const there = await page.request.get(await player.evaluate((audio) => audio.currentSrc || audio.src));
  assert.ok(buffer.equals(await there.body()), 'the same bytes');
});

/** A picture of some megabytes on its way over a slow network. */
async function attachPicture(page, set) {
  const buffer = png(1_500, 1_200, { noise: true });
  await set(false, PACE);
  await page.locator('[data-attach]').setInputFiles({ name: 'harbour.png', mimeType: 'image/png', buffer });
  return buffer.length;
}

behindNetwork('a picture goes on after the server was out of reach', async (page, { calls, set }) => {
  const size = await attachPicture(page, set);
  await moving(page, 0.3);
  await proxy.cut();
  await page.getByText(/^Waiting for the network/).waitFor();
  await set(false);
  await proxy.heal();
  await page.getByText('Ready to send').waitFor({ timeout: 60_000 });
  assertWentOn(calls, size);
});

behindNetwork('what is taken away while it waits is gone from the server too', async (page, { calls, set }) => {
  const began = page.waitForResponse((answer) => answer.request().method() === 'POST' && answer.url().includes('/api/uploads/tus'));
  await attachPicture(page, set);
  const at = (await began).headers().location;
  await moving(page, 0.1);
  const gone = page.waitForResponse((answer) => answer.request().method() === 'DELETE');
  await page.getByRole('button', { name: 'Remove harbour.png' }).click();
  assert.equal((await gone).status(), 204);
  await page.locator('.attachment').waitFor({ state: 'detached' });
  const left = await page.request.head(at, { headers: { 'tus-resumable': '1.0.0' } });
  assert.equal(left.status(), 404);
  assert.deepEqual(calls.map((call) => call.method), ['POST', 'PATCH', 'DELETE']);
});
