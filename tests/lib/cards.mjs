// Character cards in each of their files.

import { chunk, png } from './pictures.mjs';
import { zip } from './zip.mjs';

export const base64 = (said) => Buffer.from(typeof said === 'string' ? said : JSON.stringify(said)).toString('base64');

/** A PNG with these texts before its end, each as `[keyword, text]`. */
export function pngWith(texts, picture = png(60, 90)) {
  const end = picture.length - 12;
  const chunks = texts.map(([keyword, text]) => chunk('tEXt', Buffer.from(`${keyword}\0${text}`, 'latin1')));
  return Buffer.concat([picture.subarray(0, end), ...chunks, picture.subarray(end)]);
}

export const pngCard = (card, keyword = 'chara') => pngWith([[keyword, base64(card)]]);

/** An archive of the card, with `files` by their paths. */
export const charx = (card, files = {}) => zip([
  { name: 'card.json', bytes: Buffer.from(JSON.stringify(card)) },
  ...Object.entries(files).map(([name, bytes]) => ({ name, bytes: Buffer.from(bytes) })),
]);

/** The texts of a PNG by their keywords. */
export function textsOf(picture) {
  const texts = new Map();
  for (let at = 8; at < picture.length;) {
    const length = picture.readUInt32BE(at);
    if (picture.toString('latin1', at + 4, at + 8) === 'tEXt') {
      const content = picture.subarray(at + 8, at + 8 + length);
      const end = content.indexOf(0);
      texts.set(content.toString('latin1', 0, end), content.toString('latin1', end + 1));
    }
    at += 12 + length;
  }
  return texts;
}
