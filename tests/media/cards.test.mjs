// Cards that mean harm, sent to the real server: each is refused with 422 and says what is wrong, before it is saved and when it
// is only looked at; the server stays up, and its memory flat.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { Server } from '../contract/server.mjs';
import { base64, charx, pngCard, pngWith } from '../lib/cards.mjs';
import { png } from '../lib/pictures.mjs';
import { zip } from '../lib/zip.mjs';

const MB = 1_024 * 1_024;

let server;
before(async () => { server = await Server.start(); });
after(async () => { await server?.stop(); });

const card = (data = {}) => ({ spec: 'chara_card_v3', spec_version: '3.0', data: { name: 'Mara', ...data } });
const text = (said) => Buffer.from(typeof said === 'string' ? said : JSON.stringify(said));
const spaces = (megabytes) => Buffer.alloc(megabytes * MB, ' ');
/** Some megabytes in a thousandth of that. */
const bomb = (megabytes) => deflateRawSync(spaces(megabytes), { level: 9 });

/** `[name, bytes, what is said]`. */
function hostileCards() {
  const whole = pngCard(card());
  const archive = charx(card(), { 'assets/a.png': 'x' });
  const deep = `{"name": "Mara", "deep": ${'['.repeat(100_000)}`;
  const wide = `{"name": "Mara", "wide": [${'0,'.repeat(1_000_000)}0]}`;
  const named = (name) => zip([{ name: 'card.json', bytes: text(card()) }, { name, bytes: text('x') }]);
  const oneBomb = { name: 'card.json', packed: bomb(300), size: 300 * MB };
  const promise = Buffer.concat([whole.subarray(0, 8), Buffer.from([0xff, 0xff, 0xff, 0xff]), text('tEXtchara\0AAAA')]);
  return [
    ['nothing', Buffer.alloc(0), /no character card/],
    ['no PNG', text('holiday'), /no character card: send a PNG, JSON or CHARX/],
    ['a PNG without a card', png(80, 80), /holds no character card/],
    ['a JPEG without one', Buffer.from([0xff, 0xd8, 0xff, 0xe0, 1, 2, 3]), /JPEG holds no character card/],
    ['a PNG that is cut off', whole.subarray(0, whole.length - 60), /cut off/],
    ['JSON that is cut off', text(card()).subarray(0, 40), /not valid JSON: line 1, column \d+/],
    ['an archive that is cut off', archive.subarray(0, archive.length - 30), /cut off/],
    ['51 MB', spaces(51), /more than 50 MB/],
    ['a text of 9 MB', text({ name: 'Mara', long: 'x'.repeat(9 * MB) }), /more than 8 MB/],
    ['a text of 20 MB in a PNG', pngWith([['chara', 'A'.repeat(20 * MB)]]), /more than 8 MB/],
    ['fields of 3 MB', text({ name: 'Mara', long: 'x'.repeat(3 * MB) }), /more than 2 MB/],
    ['a chunk that promises 4 GB', promise, /cut off/],
    ['a hundred thousand chunks', pngWith(Array.from({ length: 100_001 }, () => ['Comment', ''])), /cannot be read/],
    ['no base64', pngWith([['chara', '{"name": "Mara"}']]), /not base64/],
    ['an encrypted card', pngWith([['ccv3', 'rcc||rccv1||AAAA']]), /encrypted for RisuAI/],
    ['no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), /not UTF-8/],
    ['a hundred thousand levels', text(deep), /levels deep/],
    ['as many levels in a PNG', pngWith([['chara', base64(deep)]]), /levels deep/],
    ['as many levels in an archive', zip([{ name: 'card.json', bytes: text(deep) }]), /levels deep/],
    ['a million values', text(wide), /more than 200000 values/],
    ['a bomb', zip([oneBomb]), /unfolds to more than its files say/],
    ['a bomb that lies', zip([{ ...oneBomb, size: 10 }]), /unfolds to more than its files say/],
    ['a bomb behind a JPEG', Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xd9]), zip([oneBomb])]), /unfolds to more/],
    ['a bomb for a picture', zip([
      { name: 'card.json', bytes: text(card({ assets: [{ type: 'icon', uri: 'embeded://bomb.png', name: 'main', ext: 'png' }] })) },
      { name: 'bomb.png', packed: bomb(300), size: 300 * MB },
    ]), /its picture is larger than it may be/],
    ['a way out', named('../../etc/cron.d/x'), /outside of itself/],
    ['a way from the root', named('/etc/passwd'), /outside of itself/],
    ['a way of Windows', named('..\\x.png'), /outside of itself/],
    ['an encrypted archive', zip([{ name: 'card.json', bytes: text(card()), flags: 1 }]), /archive is encrypted/],
    ['sixty thousand files', zip(Array.from({ length: 60_000 }, (_, n) => ({ name: `${n}`, packed: Buffer.alloc(0) }))), /more than 10000 files/],
    ['the large form of an archive', zip([{ name: 'card.json', bytes: text(card()) }], { count: 0xffff }), /Zip64/],
    ['an archive without a card', zip([{ name: 'other.json', bytes: text('{}') }]), /no card\.json in it/],
    ['no name', text(card({ name: ' ' })), /has no name/],
    ['no fields', text({ spec: 'chara_card_v2' }), /no `data`/],
    ['other JSON', text({ hello: 1 }), /neither a `spec` of a card nor a `name`/],
    ['a greeting of 130,000 letters', text(card({ first_mes: 'x'.repeat(130_000) })), /at most 100000/],
    ['3,000 entries', text(card({ character_book: { entries: Array.from({ length: 3_000 }, () => ({ keys: ['a'], content: 'b' })) } })), /at most 2000/],
  ];
}

/** What is taken, and would do harm if it were believed: `[name, bytes, what is warned of]`. */
function sly() {
  const faces = Array.from({ length: 40 }, (_, n) => ({ type: 'emotion', uri: `embeded://${n}.png`, name: `face ${n}`, ext: 'png' }));
  const flat = bomb(60);
  const pattern = String.raw`(?:\pL{1,200}){1,200}`;
  const entries = Array.from({ length: 1_500 }, (_, n) => ({ keys: [`${pattern}${n}`, `/(a|aa)+${n}$/`], content: 'x', use_regex: true, enabled: true }));
  return [
    ['pictures that are bombs', zip([
      { name: 'card.json', bytes: text(card({ assets: faces })) },
      ...faces.map((_, n) => ({ name: `${n}.png`, packed: flat, size: 60 * MB })),
    ]), /was not taken/],
    ['files that are bombs', zip([
      { name: 'card.json', bytes: text(card()) },
      ...Array.from({ length: 2_000 }, (_, n) => (n % 2 ? { name: `x/${n}`, packed: flat.subarray(0, 2_000) } : { name: `x/${n}`, bytes: text('x') })),
    ]), /too large or too many to be kept/],
    ['three thousand hostile regular expressions', text(card({ character_book: { entries } })), /regular expressions of the lore book cannot be used/],
  ];
}

async function send(who, where, bytes) {
  const form = new FormData();
  form.append('file', new Blob([bytes], { type: 'image/png' }), 'mara.png');
  const answer = await fetch(`${server.url}${where}`, { method: 'POST', headers: { authorization: `Bearer ${who.token}` }, body: form });
  return { status: answer.status, body: await answer.json() };
}

const IMPORT = '/api/characters/import';

async function judge(who, [, bytes, told]) {
  for (const where of [`${IMPORT}?preview=true`, IMPORT]) {
    const { status, body } = await send(who, where, bytes);
    assert.deepEqual([status, body.code], [422, 'validation'], JSON.stringify(body).slice(0, 300));
    assert.match(JSON.stringify(body.errors), /"field"/);
    assert.match(`${body.detail} ${JSON.stringify(body.errors)}`, told);
  }
}

async function takes(who, [, bytes, told]) {
  const { status, body } = await send(who, IMPORT, bytes);
  assert.equal(status, 201, JSON.stringify(body).slice(0, 300));
  assert.match(body.warnings.join(' '), told);
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
 * What may come on top at the most, in MB: a text of 8 MB is parsed only where it has 200,000 values at the most, and a file of an archive
 * is unfolded up to the 25 MB of a picture. A bomb that was believed would take its 300.
 */
const PEAK = 128;
/** And what may stay, once all came a second time. */
const STAYS = 32;

test('each hostile card is refused with what is wrong with it, and memory stays flat', { timeout: 600_000 }, async (t) => {
  const ada = await server.register();
  const first = pid();
  const cards = hostileCards();
  assert.ok(cards.length >= 30, `${cards.length} cards`);
  const { status } = await send(ada, IMPORT, pngCard(card()));
  assert.equal(status, 201);

  const round = async () => {
    clearPeak();
    const began = memory();
    const wrong = [];
    for (const [files, how] of [[cards, judge], [sly(), takes]]) {
      for (const file of files) {
        const before = memory();
        const from = Date.now();
        await how(ada, file).catch((error) => wrong.push(`${file[0]}: ${error.message}`));
        const { most } = memory();
        if (most - before.most > 20) t.diagnostic(`${file[0]}: ${Math.round(most - before.most)} MB more at the peak`);
        if (Date.now() - from > 3_000) t.diagnostic(`${file[0]}: ${Date.now() - from} ms`);
      }
    }
    assert.deepEqual(wrong, []);
    const { now, most } = memory();
    return { now, grown: most - began.now };
  };
  const [one, two] = [await round(), await round()];
  t.diagnostic(`${cards.length} cards: ${Math.round(one.grown)} and ${Math.round(two.grown)} MB more at the peak, ${Math.round(two.now - one.now)} MB more after the second round than after the first`);
  for (const { grown } of [one, two]) assert.ok(grown < PEAK, `${Math.round(grown)} MB more at the peak`);
  assert.ok(two.now - one.now < STAYS, `${Math.round(two.now - one.now)} MB stayed`);

  assert.equal(pid(), first, 'it is the same process');
  assert.equal((await send(ada, IMPORT, pngWith([['ccv3', base64(card())]]))).status, 201, 'and it takes what is good');
  server.fleet.assertNobodyFell();
});
