// Cards of all versions, made at random, with pictures and other files: what goes in as PNG, JSON, CHARX or a JPEG with one behind it
// comes out of each of these as it went in, and goes in again.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { base64, charx, pngWith, textsOf } from '../lib/cards.mjs';
import { png } from '../lib/pictures.mjs';
import { unzip } from '../lib/zip.mjs';
import { Server } from './server.mjs';

let server;
let folder;
before(async () => {
  // One place for all servers, where there are several.
  folder = await mkdtemp(join(tmpdir(), 'aim-cards-'));
  server = await Server.start({ env: { AIM_MEDIA__DIR: folder } });
});
after(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Numbers below 1, the same for the same seed (mulberry32). */
function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** What a card may hold, drawn with `random`. */
class Maker {
  constructor(seed) {
    this.random = randomOf(seed);
  }

  below(end) {
    return Math.floor(this.random() * end);
  }

  one(of) {
    return of[this.below(of.length)];
  }

  some(most, make) {
    return Array.from({ length: this.below(most + 1) }, (_, n) => make(n));
  }

  word() {
    return this.one(['reef', 'Rock', 'gull', 'brass bell', '灯台', 'Ünïcode', '{{user}}', '/re+f, so/i', 'a\nb', '"quoted" \\ back', '😀']);
  }

  text() {
    return this.some(6, () => this.word()).join(' ');
  }

  /** A number whose last digit counts. */
  number() {
    return this.one([this.below(1_000), -this.below(9), this.random() * 1e9, this.random() / 1e9, 0.1 + 0.2, 2 ** 53 - 1]);
  }

  anything(depth = 0) {
    const leaf = [() => null, () => this.random() < 0.5, () => this.number(), () => this.text()];
    const nested = [() => this.some(3, () => this.anything(depth + 1)), () => this.unknown(depth + 1)];
    return this.one(depth < 3 ? [...leaf, ...nested] : leaf)();
  }

  /** Fields that no version knows. */
  unknown(depth = 0) {
    return Object.fromEntries(this.some(3, (n) => [`x_${n}${this.one(['a', 'Bé', 'c d'])}`, this.anything(depth)]));
  }

  entry() {
    return {
      keys: this.some(3, () => this.word()), content: this.text(), enabled: this.random() < 0.8, insertion_order: this.one([this.below(100), this.number()]),
      extensions: this.one([{}, this.unknown(), { position: 4, depth: 2, selectiveLogic: 1, probability: 12.5, useProbability: true, ...this.unknown() }]),
      ...this.one([{}, { case_sensitive: true, use_regex: true, constant: false, priority: 3, id: this.below(99), name: this.text(), comment: this.text() }]),
      ...this.one([{}, { selective: true, secondary_keys: [this.word()], position: this.one(['after_char', 'before_char', 'sideways']) }]), ...this.unknown(),
    };
  }

  book() {
    return { ...this.one([{}, { name: this.text(), scan_depth: 3, token_budget: 99, recursive_scanning: true }]), extensions: this.unknown(), entries: this.some(4, () => this.entry()), ...this.unknown() };
  }

  data() {
    return {
      name: `Card ${this.below(1e6)}`, description: this.text(), personality: this.text(), scenario: this.text(), first_mes: this.text(), mes_example: this.text(),
      ...this.one([{}, {
        creator_notes: this.text(), system_prompt: this.text(), post_history_instructions: this.text(), alternate_greetings: this.some(3, () => this.text()),
        tags: this.some(25, (n) => this.one([`Tag ${n}`, 'Tag', 'tag'])), creator: this.text(), character_version: '1.0', extensions: this.unknown(),
      }]),
      ...this.one([{}, { character_book: this.book() }]), ...this.unknown(),
    };
  }

  /** `{card, pictures, files}`: pictures by the number of their asset, other files by their path. */
  card() {
    const version = this.one(['V1', 'V2', 'V3', 'V3', 'Pygmalion']);
    if (version === 'Pygmalion') {
      return { version, card: { char_name: `Card ${this.below(1e6)}`, char_persona: this.text(), char_greeting: this.text(), world_scenario: this.text(), example_dialogue: this.text(), ...this.unknown() } };
    }
    const data = this.data();
    if (version === 'V1') return { version, card: data };
    if (version === 'V2') return { version, card: { spec: 'chara_card_v2', spec_version: '2.0', data, ...this.unknown() } };
    data.nickname = this.one(['', 'Nick']);
    data.source = [this.text()];
    data.group_only_greetings = this.some(2, () => this.text());
    data.creator_notes_multilingual = { de: this.text() };
    data.creation_date = this.below(2e9);
    return { version, card: { spec: 'chara_card_v3', spec_version: '3.0', data, ...this.unknown() }, ...this.assets() };
  }

  /** Pictures are told apart by their width. */
  assets() {
    const pictures = this.some(4, (n) => ({
      type: this.one(['emotion', 'background', 'user_icon', 'x-odd', 'other']), name: this.one(['Joy', ' sad ', 'The room', 'deep in the reef']), ext: 'png', ...this.unknown(), width: 20 + n,
    }));
    const files = this.some(2, (n) => ({ type: this.one(['x-sound', 'other']), name: `song ${n}`, ext: 'ogg', ...this.unknown(), bytes: Buffer.from(`OggS ${n} ${this.random()}`) }));
    return { pictures, files, icon: this.random() < 0.5 };
  }
}

/** The file that a made card goes in as. */
function written({ card, pictures = [], files = [], icon = false }, how) {
  const out = structuredClone(card);
  const archive = {};
  const chunks = [];
  const placed = [...pictures.map(({ width, ...asset }) => [asset, png(width, 20), 'png']), ...files.map(({ bytes, ...asset }) => [asset, bytes, 'ogg'])];
  const assets = placed.map(([asset, bytes, ext], n) => {
    if (how === 'json') return { ...asset, uri: `data:${ext === 'png' ? 'image/png' : 'audio/ogg'};base64,${bytes.toString('base64')}` };
    if (how === 'png') {
      chunks.push([`chara-ext-asset_:${n}`, bytes.toString('base64')]);
      return { ...asset, uri: `__asset:${n}` };
    }
    archive[`assets/${ext}/${n}.${ext}`] = bytes;
    return { ...asset, uri: `embeded://assets/${ext}/${n}.${ext}` };
  });
  if (icon) assets.unshift({ type: 'icon', uri: 'ccdefault:', name: 'main', ext: 'png', x_icon: 1.5 });
  if (assets.length > 0) out.data.assets = assets;
  if (how === 'json') return { bytes: Buffer.from(JSON.stringify(out)), sent: out };
  if (how === 'png') return { bytes: pngWith([...chunks, [card.spec === 'chara_card_v3' ? 'ccv3' : 'chara', base64(out)]]), sent: out };
  archive['module.risum'] = Buffer.from([0x6f, 0, 1, 2, 3]);
  const packed = charx(out, archive);
  return { bytes: how === 'jpeg' ? Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xd9]), packed]) : packed, sent: out, module: true };
}

/** A card of an old version as V3 tells it. */
function asV3(card) {
  if (card.spec) return { ...card, spec: 'chara_card_v3', spec_version: '3.0' };
  const old = { char_name: 'name', char_persona: 'description', char_greeting: 'first_mes', world_scenario: 'scenario', example_dialogue: 'mes_example' };
  const out = { data: {} };
  for (const [name, value] of Object.entries(card)) {
    if (name.startsWith('x_')) out[name] = value;
    else out.data[old[name] ?? name] = value;
  }
  return out;
}

/** Where `after` does not say all that `before` says; what was null may have become something. */
function lost(before, after, path = '') {
  if (before === null) return [];
  if (typeof before !== 'object') return before === after ? [] : [`${path}: ${JSON.stringify(before)} became ${JSON.stringify(after)}`];
  if (typeof after !== 'object' || after === null) return [`${path}: gone`];
  if (Array.isArray(before) && before.length !== after.length) return [`${path}: ${before.length} became ${after.length}`];
  return Object.entries(before).flatMap(([name, value]) => lost(value, after[name], `${path}.${name}`));
}

async function call(who, method, where, file) {
  const form = file && new FormData();
  form?.append('file', new Blob([file]), 'a.card');
  const answer = await fetch(server.url + where, { method, headers: { authorization: `Bearer ${who.token}` }, body: form });
  const bytes = Buffer.from(await answer.arrayBuffer());
  return { status: answer.status, bytes, said: () => JSON.parse(bytes.toString()) };
}

/** What a file holds: the card, and the bytes of an asset by its place. */
function opened(bytes, how) {
  const ofData = (uri) => (uri.startsWith('data:') ? Buffer.from(uri.split(',')[1], 'base64') : undefined);
  if (how === 'json') return { card: JSON.parse(bytes.toString()), read: ofData };
  if (how === 'png') {
    const texts = textsOf(bytes);
    const of = (keyword) => JSON.parse(Buffer.from(texts.get(keyword), 'base64').toString());
    assert.deepEqual(of('chara').data, of('ccv3').data);
    const chunkOf = (uri) => texts.get(`chara-ext-asset_:${uri.slice('__asset:'.length)}`);
    return { card: of('ccv3'), read: (uri) => (uri.startsWith('__asset:') ? Buffer.from(chunkOf(uri), 'base64') : ofData(uri)) };
  }
  const files = unzip(bytes);
  return { card: JSON.parse(files.get('card.json').toString()), files, read: (uri) => files.get(uri.replace('embeded://', '')) ?? ofData(uri) };
}

const WEBP = /^RIFF....WEBP/s;

/** What an export lost of the card that was sent, as sentences. */
function missing({ made, sent, module }, { card, read, files }, how) {
  const [before, after] = [asV3(structuredClone(sent)), structuredClone(card)];
  const [had, has] = [before.data.assets ?? [], after.data.assets ?? []];
  delete before.data.assets;
  const wrong = lost(before, after);
  const placed = (entries) => entries.map(({ uri: _, ext: __, ...entry }) => entry);
  const icons = made.icon ? 1 : 0;
  // The picture that a card without a list of them is shown with.
  if (!made.icon && how === 'charx' && has[0]?.type === 'icon') has.shift();
  wrong.push(...lost(placed(had), placed(has), 'assets'));
  (made.pictures ?? []).forEach((_, n) => {
    const bytes = read(has[icons + n]?.uri ?? '');
    if (!WEBP.test(bytes?.toString('latin1', 0, 12) ?? '')) wrong.push(`picture ${n} is none`);
  });
  (made.files ?? []).forEach(({ bytes }, n) => {
    const found = read(has[icons + made.pictures.length + n]?.uri ?? '');
    if (!found?.equals(bytes)) wrong.push(`file ${n} is another`);
  });
  if (module && how === 'charx' && files.get('module.risum')?.length !== 5) wrong.push('the module is gone');
  return wrong;
}

/** An export without what every encoder writes otherwise. */
const masked = ({ card }) => JSON.parse(JSON.stringify(card, (name, value) => (name === 'uri' || name === 'modification_date' ? undefined : value)));

test('nothing of a card is lost on its way through the server, whatever it comes in and goes out as', { timeout: 600_000 }, async () => {
  const ada = await server.register();
  const ways = ['png', 'json', 'charx', 'jpeg'];
  for (let seed = 1; seed <= 32; seed += 1) {
    const made = new Maker(seed).card();
    const how = ways[seed % ways.length];
    const { bytes, sent, module } = written(made, how);
    const about = `seed ${seed}, ${made.version} as ${how}`;
    const taken = await call(ada, 'POST', '/api/characters/import', bytes);
    assert.equal(taken.status, 201, `${about}: ${taken.bytes}`);
    const { character, pictures } = taken.said();
    assert.equal(pictures, made.pictures?.length ?? 0, `${about}: ${taken.bytes}`);
    const gallery = (await call(ada, 'GET', `/api/characters/${character.id}/gallery`)).said().items;
    assert.deepEqual(gallery.map(({ width }) => width), (made.pictures ?? []).map(({ width }) => width), about);
    for (const format of ['json', 'png', 'charx']) {
      const out = opened((await call(ada, 'GET', `/api/characters/${character.id}/export?format=${format}`)).bytes, format);
      assert.deepEqual(missing({ made, sent, module }, out, format), [], `${about}, out as ${format}`);
    }
    // Out and in again it is the same character, with the same to give.
    const format = ['json', 'png', 'charx'][seed % 3];
    const first = await call(ada, 'GET', `/api/characters/${character.id}/export?format=${format}`);
    const again = await call(ada, 'POST', '/api/characters/import', first.bytes);
    assert.equal(again.status, 201, `${about}: ${again.bytes}`);
    const { id, avatarUrl, revision, createdAt, updatedAt, ...same } = again.said().character;
    const { id: _, avatarUrl: had, revision: __, createdAt: ___, updatedAt: ____, ...expected } = character;
    assert.deepEqual(same, expected, about);
    assert.ok(id !== character.id && revision && createdAt && updatedAt && (had === null || format === 'json' || avatarUrl), about);
    const second = await call(ada, 'GET', `/api/characters/${id}/export?format=${format}`);
    assert.deepEqual(masked(opened(second.bytes, format)), masked(opened(first.bytes, format)), `${about}, twice as ${format}`);
  }
  server.fleet.assertNobodyFell();
});

test('a change is written, and what nobody changed stays as it came', async () => {
  const ada = await server.register();
  const entries = [
    { keys: ['reef'], content: 'one', extensions: { weight: 0.1 + 0.2 }, enabled: true, insertion_order: 1.5, x_kept: [null] },
    { keys: ['rock'], content: 'two', extensions: {}, enabled: true, insertion_order: 2 },
  ];
  const card = { spec: 'chara_card_v3', spec_version: '3.0', data: { name: 'Mara', character_book: { entries, extensions: {} }, assets: [{ type: 'background', uri: `data:image/png;base64,${png(30, 30).toString('base64')}`, name: 'The room', ext: 'png', x_kept: 1 }] } };
  const taken = await call(ada, 'POST', '/api/characters/import', Buffer.from(JSON.stringify(card)));
  const { character } = taken.said();
  const lorebook = structuredClone(character.lorebook);
  lorebook.entries[1].content = 'changed';
  await ada.must('PATCH', `/api/characters/${character.id}`, { lorebook });
  const [item] = (await ada.must('GET', `/api/characters/${character.id}/gallery`)).items;
  await ada.must('PATCH', `/api/characters/${character.id}/gallery/${item.id}`, { caption: 'By night', expression: 'calm' });
  const exported = async () => opened((await call(ada, 'GET', `/api/characters/${character.id}/export?format=json`)).bytes, 'json').card.data;
  const { character_book: book, assets } = await exported();
  assert.deepEqual(book.entries[0], entries[0]);
  assert.equal(book.entries[1].content, 'changed');
  const [{ uri, ...asset }] = assets;
  assert.match(uri, /^data:image\/webp;base64,/);
  assert.deepEqual(asset, { type: 'emotion', name: 'calm', ext: 'webp', x_kept: 1, caption: 'By night' });
  // What was taken out of the gallery is in no card any more.
  const gone = await call(ada, 'DELETE', `/api/characters/${character.id}/gallery/${item.id}`);
  assert.equal(gone.status, 204);
  assert.deepEqual((await exported()).assets, []);
});
