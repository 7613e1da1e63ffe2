// The index of a TensorFlow checkpoint: entries of a LevelDB table, each a protobuf, sealed again by their checksum.
import { mutateBytes } from './bytes.js';
import { maskedCrc32c } from './crc32c.js';
import { mutateProtobuf, varint, varintAt } from './protobuf.js';

const FOOTER_BYTES = 48;

/** @typedef {{ key: Buffer, value: Buffer }} Entry */

/** @param {Buffer} good @param {import('../random.js').Random} random */
export function mutateLeveldb(good, random) {
  if (random.chance(0.08)) return mutateBytes(good, random);
  const entries = entriesOf(good);
  for (let edits = 1 + random.below(2); edits > 0; edits--) {
    const at = random.below(entries.length);
    const own = /** @type {Entry} */ (entries[at]);
    const how = random.below(10);
    if (how === 0) entries.splice(at, 1);
    else if (how === 1) entries.splice(at, 0, { ...own });
    else if (how === 2)
      own.key = random.pick([Buffer.from(random.text().slice(0, 3000)), mutateBytes(own.key, random)]);
    else if (how === 3) own.value = random.pick(entries).value;
    else if (how === 4) own.value = Buffer.concat([own.value, random.pick(entries).value]);
    else own.value = mutateProtobuf(own.value, random);
    if (entries.length === 0) entries.push(own);
  }
  // Keys out of order are refused before anything else is read.
  if (random.chance(0.9)) entries.sort((a, b) => a.key.compare(b.key));
  return tableOf(entries, random);
}

/** @param {Buffer} file @param {number} at */
function handleAt(file, at) {
  const offset = /** @type {{ value: bigint, end: number }} */ (varintAt(file, at));
  const size = /** @type {{ value: bigint, end: number }} */ (varintAt(file, offset.end));
  return { offset: Number(offset.value), size: Number(size.value), end: size.end };
}

/** @param {Buffer} file @returns {Entry[]} */
function entriesOf(file) {
  const meta = handleAt(file, file.length - FOOTER_BYTES);
  const { offset, size } = handleAt(file, meta.end);
  return blockEntries(file.subarray(offset, offset + size)).flatMap(({ value }) => {
    const data = handleAt(value, 0);
    return blockEntries(file.subarray(data.offset, data.offset + data.size));
  });
}

/** @param {Buffer} block @returns {Entry[]} */
function blockEntries(block) {
  const end = block.length - 4 - 4 * block.readUInt32LE(block.length - 4);
  const entries = [];
  let key = Buffer.alloc(0);
  for (let at = 0; at < end; ) {
    const numbers = [0, 0, 0].map(() => {
      const { value, end: next } = /** @type {{ value: bigint, end: number }} */ (varintAt(block, at));
      at = next;
      return Number(value);
    });
    const [shared = 0, own = 0, length = 0] = numbers;
    key = Buffer.concat([key.subarray(0, shared), block.subarray(at, at + own)]);
    entries.push({ key, value: block.subarray(at + own, at + own + length) });
    at += own + length;
  }
  return entries;
}

/** One block of data, an empty one of metadata and the index; a number in them is wrong now and then. @param {readonly Entry[]} entries @param {import('../random.js').Random} random */
function tableOf(entries, random) {
  const liar = random.chance(0.15) ? random.below(entries.length) : -1;
  const data = sealed(blockOf(entries, liar, random));
  const meta = sealed(blockOf([], -1, random));
  const dataHandle = handle(0, data.length - 5, random);
  const metaHandle = handle(data.length, meta.length - 5, random);
  const index = sealed(blockOf([{ key: entries.at(-1)?.key ?? Buffer.from('z'), value: dataHandle }], -1, random));
  const footer = Buffer.alloc(FOOTER_BYTES);
  Buffer.concat([metaHandle, handle(data.length + meta.length, index.length - 5, random)]).copy(footer, 0, 0, 40);
  Buffer.from('57fb808b247547db', 'hex').copy(footer, 40);
  return Buffer.concat([data, meta, index, footer]);
}

/** @param {number} offset @param {number} size @param {import('../random.js').Random} random */
function handle(offset, size, random) {
  const odd = random.chance(0.02);
  return Buffer.concat([varint(odd ? random.integer(BigInt(offset), 64) : BigInt(offset)), varint(BigInt(size))]);
}

/** @param {readonly Entry[]} entries @param {number} liar @param {import('../random.js').Random} random */
function blockOf(entries, liar, random) {
  const parts = entries.flatMap(({ key, value }, i) => {
    const numbers = [0n, BigInt(key.length), BigInt(value.length)];
    if (i === liar) {
      const place = random.below(3);
      numbers[place] = random.integer(numbers[place] ?? 0n, 32);
    }
    return [...numbers.map(varint), key, value];
  });
  const restarts = Buffer.alloc(8);
  restarts.writeUInt32LE(1, 4);
  return Buffer.concat([...parts, restarts]);
}

/** @param {Buffer} block */
function sealed(block) {
  const type = Buffer.from([0]);
  return Buffer.concat([block, type, maskedCrc32c([block, type])]);
}
