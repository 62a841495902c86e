// Files that mean harm, made here: nobody's. Each comes as `{name, bytes, outcome}`; an outcome is
// `{status, code, told}` of an upload that is refused at once, `{failed}` of one that is looked at and cannot be used,
// `{hidden}` of a picture that is taken and shown without that text, or `{lengthMs}` of a sound.

import { constants, createDeflate, deflateRawSync, deflateSync } from 'node:zlib';
import { chunk, png } from '../lib/pictures.mjs';

const MB = 1024 * 1024;
const SCRIPT = '<script>alert(document.cookie)</script>';

const unsupported = (told) => ({ status: 415, code: 'unsupported_media_type', told });
const UNKNOWN = unsupported(/^This type of file cannot be taken\. Pictures may be PNG/);
const flood = { failed: /^The picture is too large: \d+ × \d+ pixels, where 8192 a side/ };
const broken = (format) => ({ failed: new RegExp(`^The ${format} file (is broken and cannot be read|is cut off: its end is missing\\. Please send it again|holds no sound)\\.$`) });

const u16 = (value) => { const out = Buffer.alloc(2); out.writeUInt16BE(value); return out; };
const u32 = (value) => { const out = Buffer.alloc(4); out.writeUInt32BE(value); return out; };
const le16 = (value) => Buffer.from(u16(value)).reverse();
const le32 = (value) => Buffer.from(u32(value)).reverse();
const bytes = (...parts) => Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part))));

/** So many megabytes of zeros, in a thousandth of that, without ever holding them. */
async function zlibBomb(megabytes) {
  const deflate = createDeflate({ level: constants.Z_BEST_COMPRESSION });
  const made = [];
  deflate.on('data', (piece) => made.push(piece));
  const done = new Promise((end, fail) => { deflate.on('end', end); deflate.on('error', fail); });
  const zeros = Buffer.alloc(MB);
  for (let n = 0; n < megabytes; n += 1) {
    if (!deflate.write(zeros)) await new Promise((room) => { deflate.once('drain', room); });
  }
  deflate.end();
  await done;
  return Buffer.concat(made);
}

/** A PNG whose header promises so many pixels of RGBA, and whose data is this. */
function pngOf(width, height, data) {
  const header = bytes(u32(width), u32(height), [8, 6, 0, 0, 0]);
  return bytes([0x89], 'PNG\r\n\x1a\n', chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0)));
}

/** The same PNG with a chunk more, behind the header. */
const withChunk = (picture, name, content) => bytes(picture.subarray(0, 33), chunk(name, content), picture.subarray(33));

/** A grey JPEG of 8 × 8: one table of each kind, one block, all of it zero. `side` is what its header says. */
function jpeg({ side = 8, comment = '' } = {}) {
  const segment = (marker, content) => bytes([0xff, marker], u16(content.length + 2), content);
  const oneCode = (kind) => bytes([kind, 1], Buffer.alloc(15), [0]);
  return bytes(
    [0xff, 0xd8],
    comment ? segment(0xfe, Buffer.from(comment)) : [],
    segment(0xdb, bytes([0], Buffer.alloc(64, 1))),
    segment(0xc0, bytes([8], u16(side), u16(side), [1, 1, 0x11, 0])),
    segment(0xc4, oneCode(0x00)),
    segment(0xc4, oneCode(0x10)),
    segment(0xda, Buffer.from([1, 1, 0, 0, 63, 0])),
    [0x3f, 0xff, 0xd9],
  );
}

/** A GIF with frames of one pixel on a canvas of so many; `comment` stands between head and frames. */
function gif({ side = 16, frames = 1, comment = '' } = {}) {
  const head = bytes('GIF89a', le16(side), le16(side), [0x80, 0, 0], [0, 0, 0, 0xff, 0xff, 0xff]);
  const words = comment ? bytes([0x21, 0xfe, comment.length], comment, [0]) : Buffer.alloc(0);
  const frame = bytes([0x21, 0xf9, 4, 0, 1, 0, 0, 0], [0x2c], Buffer.alloc(4), le16(1), le16(1), [0, 2, 2, 0x44, 1, 0]);
  return bytes(head, words, ...Array.from({ length: frames }, () => frame), [0x3b]);
}

/** A RIFF file of these chunks; `size` is what it says of itself. */
function riff(kind, chunks, size) {
  const body = bytes(kind, ...chunks.map(([name, content, length = content.length]) => bytes(name, le32(length), content, Buffer.alloc(content.length % 2))));
  return bytes('RIFF', le32(size ?? body.length), body);
}

const wavFormat = (channels, rate) => bytes(le16(1), le16(channels), le32(rate), le32((rate * channels * 2) >>> 0), le16((channels * 2) & 0xffff), le16(16));
const tone = (ms) => {
  const out = Buffer.alloc(ms * 16);
  for (let n = 0; n < ms * 8; n += 1) out.writeInt16LE(Math.round(Math.sin(n / 3) * 9_000), n * 2);
  return out;
};

/** An Ogg page whose checksum is wrong. */
const page = (number, content) => bytes('OggS', [0, number === 0 ? 2 : 0], Buffer.alloc(8, number), le32(7), le32(number), [0xde, 0xad, 0xbe, 0xef], [1, content.length], content);

/** A zip with one file in it, which is so many megabytes of zeros. */
async function zipBomb(megabytes) {
  const deflated = deflateRawSync(Buffer.alloc(MB), { level: 9 });
  const data = Buffer.concat(Array.from({ length: megabytes }, () => deflated));
  const sizes = bytes(le32(0), le32(data.length), le32(megabytes * MB));
  return bytes('PK\x03\x04', le16(20), le16(0), le16(8), le32(0), sizes, le16(8), le16(0), 'zero.bin', data);
}

/** Noise, the same each time. */
function noise(length) {
  const out = Buffer.alloc(length);
  let state = 7;
  for (let n = 0; n < length; n += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    out[n] = state >>> 24;
  }
  return out;
}

async function floods() {
  const small = png(64, 64);
  return [
    ['a PNG of 60,000 × 60,000', pngOf(60_000, 60_000, await zlibBomb(2)), flood],
    ['a PNG whose 8,000 × 8,000 pixels are all there', pngOf(8_000, 8_000, await zlibBomb(245)), flood],
    ['a PNG of no pixels', pngOf(0, 0, deflateSync(Buffer.alloc(0))), broken('PNG')],
    ['a PNG with a gigabyte of text', withChunk(small, 'zTXt', bytes('bomb\0\0', await zlibBomb(1_024))), { hidden: 'bomb' }],
    ['a JPEG of 65,535 × 65,535', jpeg({ side: 65_535 }), flood],
    ['a GIF of 65,535 × 65,535', gif({ side: 65_535 }), flood],
    ['a GIF of 10,000 frames', gif({ frames: 10_000, comment: 'bomb' }), { hidden: 'bomb' }],
    ['a WebP of 16,383 × 16,383', riff('WEBP', [['VP8L', bytes([0x2f, 0xfe, 0xbf, 0xff, 0x0f], noise(200))]]), flood],
    ['a zip of a gigabyte', await zipBomb(1_024), UNKNOWN],
  ];
}

function polyglots() {
  const small = png(64, 64);
  const zip = bytes('PK\x03\x04', le16(20), Buffer.alloc(24), 'evil.exe');
  return [
    ['a PNG with HTML behind it', bytes(small, `<html>${SCRIPT}</html>`), { hidden: 'script' }],
    ['a PNG with a zip behind it', bytes(small, zip), { hidden: 'evil' }],
    ['a PNG with a script for text', withChunk(small, 'tEXt', bytes('Comment\0', SCRIPT)), { hidden: 'script' }],
    ['a JPEG with a script in a comment', jpeg({ comment: `*/=1;alert(1);/*${SCRIPT}` }), { hidden: 'script' }],
    ['a GIF that is a script', bytes(gif({ comment: '*/=1;alert(1)//script' }), SCRIPT), { hidden: 'script' }],
    ['a script that begins as a GIF does', bytes('GIF89a=1;/*', SCRIPT, '*/alert(1)'), { failed: /^The (GIF file|picture) is / }],
  ];
}

function cutOff() {
  const picture = png(300, 200, { noise: true });
  const long = Buffer.from(png(64, 64));
  // The length of the first piece of pixels.
  long.writeUInt32BE(0x7fff_ffff, 33);
  const whole = jpeg();
  return [
    ['nothing', Buffer.alloc(0), { status: 422, code: 'validation', told: /^The file is empty\.$/ }],
    ['half a PNG', picture.subarray(0, picture.length / 2), broken('PNG')],
    ['a PNG that says it is two gigabytes long', long, broken('PNG')],
    ['a JPEG without its end', whole.subarray(0, whole.length - 2), broken('JPEG')],
    ['a WebP that is longer than it says', riff('WEBP', [['VP8L', noise(500), 4_000_000_000]], 12), broken('WebP')],
    ['a picture of 26 MB', bytes(png(8, 8), Buffer.alloc(26 * MB)), { status: 413, code: 'payload_too_large', told: /^The file is too large: it may have 25 MB at most\.$/ }],
  ];
}

function otherTypes() {
  const svg = `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg">${SCRIPT}</svg>`;
  return [
    ['an SVG with a script', svg, unsupported(/^SVG cannot be taken\. Please send a PNG, JPEG, WebP or GIF\.$/)],
    ['HTML with a picture’s name', `<!doctype html><title>x</title>${SCRIPT}`, UNKNOWN],
    ['a PDF', '%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj', unsupported(/^PDF cannot be taken\./)],
    ['a program of Windows', bytes('MZ\x90\0\x03\0\0\0', noise(2_000)), UNKNOWN],
    ['a program of Linux', bytes('\x7fELF\x02\x01\x01', noise(2_000)), UNKNOWN],
    ['noise', noise(100_000), UNKNOWN],
  ];
}

function sounds() {
  const fmt = (channels, rate) => ['fmt ', wavFormat(channels, rate)];
  const m4a = (rest) => bytes(u32(20), 'ftypM4A ', u32(0), 'M4A ', rest);
  // 400,000 boxes of nothing, and so many that each say that the next is in them.
  const empty = Buffer.concat(Array.from({ length: 400_000 }, () => bytes(u32(8), 'free')));
  const nested = Buffer.concat(Array.from({ length: 100_000 }, (_, n) => bytes(u32((100_000 - n) * 8), n === 0 ? 'moov' : 'trak')));
  const ebml = bytes([0x1a, 0x45, 0xdf, 0xa3, 0x87, 0x42, 0x82, 0x84], 'webm');
  const endless = bytes([0x18, 0x53, 0x80, 0x67, 0x01], Buffer.alloc(7, 0xff), [0x1f, 0x43, 0xb6, 0x75, 0x01, 0x7f], Buffer.alloc(5, 0xff), [0xfe], noise(2_000));
  return [
    ['a WAV that says it is four gigabytes long', riff('WAVE', [fmt(1, 8_000), ['data', tone(1_000), 0xffff_ffff]], 0xffff_ffff), { lengthMs: 1_000 }],
    ['a WAV of no channels', riff('WAVE', [fmt(0, 8_000), ['data', tone(100)]]), broken('WAV')],
    ['a WAV of 1,000 channels', riff('WAVE', [fmt(1_000, 8_000), ['data', tone(100)]]), broken('WAV')],
    ['an MP3 with 50 MB of tags by its own word', bytes('ID3\x04\0\0', [0x18, 0, 0, 0], noise(4_000)), broken('MP3')],
    ['an MP3 of noise', bytes([0xff, 0xfb, 0x90, 0], noise(300_000)), broken('MP3')],
    ['an Ogg of bad pages', bytes(page(0, Buffer.from('OpusHead\x01\x02\0\0\x80\xbb\0\0\0\0\0', 'latin1')), page(1, Buffer.from('OpusTags')), ...Array.from({ length: 500 }, (_, n) => page(n + 2, noise(200)))), broken('Ogg')],
    ['an M4A of one endless box', m4a(bytes([0xff, 0xff, 0xff, 0xff], 'moov')), broken('M4A')],
    ['an M4A of 400,000 empty boxes', m4a(empty), broken('M4A')],
    ['an M4A of boxes in boxes', m4a(nested), broken('M4A')],
    ['a WebM with an endless element', bytes(ebml, endless), broken('WebM')],
  ];
}

export async function hostileFiles() {
  const all = [...(await floods()), ...polyglots(), ...cutOff(), ...otherTypes(), ...sounds()];
  return all.map(([name, content, outcome]) => ({ name, bytes: Buffer.from(content), outcome }));
}
