// zip files of stored entries (torch, npz): an entry's own structure, and what the directory says of it.
import { crc32, inflateRawSync } from 'node:zlib';
import { mutateBytes } from './bytes.js';

/** @typedef {{ name: Buffer, bytes: Buffer }} Entry */

/**
 * @param {Buffer} good @param {import('../random.js').Random} random
 * @param {(name: string, bytes: Buffer) => Buffer} mutateEntry
 */
export function mutateZip(good, random, mutateEntry) {
  if (random.chance(0.06)) return mutateBytes(good, random);
  const entries = entriesOf(good);
  if (random.chance(0.85)) {
    const own = random.pick(entries.filter(({ name }) => /\.(pkl|npy)$/.test(name.toString())));
    own.bytes = mutateEntry(own.name.toString(), own.bytes);
  }
  const own = random.pick(entries);
  const how = random.below(12);
  if (how === 0) entries.splice(entries.indexOf(own), 1);
  else if (how === 1) entries.push({ ...own, bytes: mutateBytes(own.bytes, random) });
  else if (how === 2) own.name = Buffer.from(random.text().slice(0, 60_000));
  else if (how === 3) own.bytes = own.bytes.subarray(0, random.below(own.bytes.length + 1));
  return zipOf(entries, random, random.chance(0.2));
}

/** @param {Buffer} file @returns {Entry[]} */
function entriesOf(file) {
  const end = file.lastIndexOf('PK\x05\x06', undefined, 'latin1');
  const entries = [];
  for (let at = file.readUInt32LE(end + 16); file.readUInt32LE(at) === 0x02014b50; ) {
    const [size, nameLength, extra, comment, local] = [
      file.readUInt32LE(at + 20),
      file.readUInt16LE(at + 28),
      file.readUInt16LE(at + 30),
      file.readUInt16LE(at + 32),
      file.readUInt32LE(at + 42),
    ];
    const start = local + 30 + file.readUInt16LE(local + 26) + file.readUInt16LE(local + 28);
    const packed = file.subarray(start, start + size);
    const bytes = file.readUInt16LE(at + 10) === 8 ? inflateRawSync(packed) : packed;
    entries.push({ name: file.subarray(at + 46, at + 46 + nameLength), bytes });
    at += 46 + nameLength + extra + comment;
  }
  return entries;
}

/** Writes the entries stored; `lies` makes one number of the directory or of a local header wrong. @param {readonly Entry[]} entries @param {import('../random.js').Random} random @param {boolean} lies */
function zipOf(entries, random, lies) {
  const liar = lies ? random.below(entries.length + 1) : -1;
  const wrong = (/** @type {Buffer} */ header, /** @type {readonly (readonly [number, number])[]} */ fields) => {
    const [at, size] = random.pick(fields);
    const old = size === 2 ? header.readUInt16LE(at) : header.readUInt32LE(at);
    const value = Number(random.integer(BigInt(old), size * 8));
    if (size === 2) header.writeUInt16LE(value, at);
    else header.writeUInt32LE(value, at);
  };
  const parts = [];
  const directory = [];
  let at = 0;
  for (const [i, { name, bytes }] of entries.entries()) {
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt32LE(crc32(bytes), 14);
    local.writeUInt32LE(bytes.length, 18);
    local.writeUInt32LE(bytes.length, 22);
    local.writeUInt16LE(name.length, 26);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    local.copy(central, 16, 14, 28);
    central.writeUInt32LE(at, 42);
    if (i === liar && random.chance(0.3))
      wrong(local, [
        [8, 2],
        [18, 4],
        [22, 4],
        [26, 2],
        [28, 2],
      ]);
    else if (i === liar)
      wrong(central, [
        [8, 2],
        [10, 2],
        [16, 4],
        [20, 4],
        [24, 4],
        [28, 2],
        [30, 2],
        [32, 2],
        [42, 4],
      ]);
    parts.push(local, name, bytes);
    directory.push(central, name);
    at += 30 + name.length + bytes.length;
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(Buffer.concat(directory).length, 12);
  end.writeUInt32LE(at, 16);
  if (liar === entries.length)
    wrong(end, [
      [8, 2],
      [10, 2],
      [12, 4],
      [16, 4],
      [20, 2],
    ]);
  return Buffer.concat([...parts, ...directory, end]);
}
