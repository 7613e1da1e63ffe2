// Files of samples in bytes: npy headers, and TFRecords sealed again by their checksums.
import { mutateBytes } from './bytes.js';
import { maskedCrc32c } from './crc32c.js';
import { mutateProtobuf } from './protobuf.js';

const TYPES = ['<i8', '<i4', '<f4', '<f8', '>i4', '|b1', '|u1', '|O', '<U5', '<i3', '', '<f2'];

/** Another type, order or shape in the header's text, whose length may lie. @param {Buffer} good @param {import('../random.js').Random} random */
export function mutateNpy(good, random) {
  if (random.chance(0.2)) return mutateBytes(good, random);
  const end = 10 + good.readUInt16LE(8);
  let text = good.subarray(10, end).toString('latin1');
  const how = random.below(6);
  if (how === 0) text = text.replace(/'[<>|=][^']*'/, `'${random.pick(TYPES)}'`);
  else if (how === 1) text = text.replace('False', random.pick(['True', 'Maybe', '']));
  else if (how === 2) text = text.replace(/\(([^)]*)\)/, (_, dims) => `(${dims}${random.integer(3n, 64)},)`);
  else if (how === 3) text = text.replace(/\d+/g, () => `${random.integer(3n, random.pick([4, 64]))}`);
  else if (how === 4)
    text = text.replace(
      /\([^)]*\)/,
      random.pick(['()', '(-1,)', '(1e3,)', '(0,)', '((1,),)', `(${'1,'.repeat(5000)})`]),
    );
  else text = mutateBytes(Buffer.from(text), random).toString('latin1');
  const header = Buffer.from(text, 'latin1');
  const start = Buffer.from(good.subarray(0, 10));
  start.writeUInt16LE(random.chance(0.1) ? random.below(65_536) : Math.min(header.length, 65_535), 8);
  return Buffer.concat([start, header, good.subarray(end)]);
}

/** @param {Buffer} good @param {import('../random.js').Random} random */
export function mutateTfrecord(good, random) {
  if (random.chance(0.1)) return mutateBytes(good, random);
  const records = [];
  for (let at = 0; at + 16 <= good.length; ) {
    const size = Number(good.readBigUInt64LE(at));
    records.push(good.subarray(at + 12, at + 12 + size));
    at += size + 16;
  }
  const own = random.below(records.length);
  records[own] = mutateProtobuf(/** @type {Buffer} */ (records[own]), random);
  const liar = random.chance(0.1) ? random.below(records.length) : -1;
  return Buffer.concat(
    records.flatMap((record, i) => {
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(i === liar ? random.integer(BigInt(record.length), 64) : BigInt(record.length));
      return [length, maskedCrc32c([length]), record, maskedCrc32c([record])];
    }),
  );
}
