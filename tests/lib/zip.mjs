// Archives, written and read by hand: a test may say of an entry what is not true.

import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib';

const le = (value, bytes) => {
  const out = Buffer.alloc(bytes);
  out.writeUIntLE(value, 0, bytes);
  return out;
};

/**
 * `entries` are `{name, bytes}`; `flags` goes into both headers, and `packed` is what stands there instead of the deflated bytes.
 * `count` is what the directory says there are.
 */
export function zip(entries, { count = entries.length } = {}) {
  const parts = [];
  const directory = [];
  let at = 0;
  for (const { name, bytes = Buffer.alloc(0), flags = 0, packed = deflateRawSync(bytes), size = bytes.length, crc = crc32(bytes) } of entries) {
    const called = Buffer.from(name);
    const common = [le(20, 2), le(flags, 2), le(8, 2), le(0, 4), le(crc, 4), le(packed.length, 4), le(size, 4), le(called.length, 2), le(0, 2)];
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), ...common, called, packed]);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02', 'latin1'), le(20, 2), ...common, le(0, 2), le(0, 2), le(0, 2), le(0, 4), le(at, 4), called]));
    parts.push(local);
    at += local.length;
  }
  const listed = Buffer.concat(directory);
  const end = [Buffer.from('PK\x05\x06', 'latin1'), le(0, 4), le(count, 2), le(count, 2), le(listed.length, 4), le(at, 4), le(0, 2)];
  return Buffer.concat([...parts, listed, ...end]);
}

/** The files of an archive by their names. */
export function unzip(bytes) {
  const end = bytes.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  const files = new Map();
  let at = bytes.readUInt32LE(end + 16);
  for (let n = bytes.readUInt16LE(end + 10); n > 0; n -= 1) {
    const [method, packed] = [bytes.readUInt16LE(at + 10), bytes.readUInt32LE(at + 20)];
    const [name, extra, comment] = [28, 30, 32].map((field) => bytes.readUInt16LE(at + field));
    const local = bytes.readUInt32LE(at + 42);
    const from = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
    const content = bytes.subarray(from, from + packed);
    files.set(bytes.toString('utf8', at + 46, at + 46 + name), method === 0 ? content : inflateRawSync(content));
    at += 46 + name + extra + comment;
  }
  return files;
}
