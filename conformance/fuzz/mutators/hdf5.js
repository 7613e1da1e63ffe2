// HDF5: numbers behind the signatures and in the messages of object headers, which is where a Keras file has its structure.
import { mutateBytes, writeInteger } from './bytes.js';

const SIGNATURES = ['TREE', 'SNOD', 'HEAP', 'OHDR', 'FRHP', 'GCOL', '\x89HDF'];
/** Signature, version, counts and the first entries. */
const STRUCTURE_BYTES = 160;

/** @param {Buffer} good @param {import('../random.js').Random} random */
export function mutateHdf5(good, random) {
  if (random.chance(0.05)) return mutateBytes(good, random);
  const places = placesOf(good);
  const bytes = Buffer.from(good);
  for (let edits = 1 + random.below(3); edits > 0; edits--) {
    const start = random.pick(random.pick(places));
    writeInteger(
      bytes,
      start + 4 * random.below(STRUCTURE_BYTES / 4) + random.pick([0, 0, 0, 1, 2, 3]),
      random.pick([1, 2, 4, 8]),
      random,
    );
  }
  return bytes;
}

/** @type {WeakMap<Buffer, number[][]>} */
const known = new WeakMap();

/** Starts of each kind of structure. @param {Buffer} file */
function placesOf(file) {
  const found = known.get(file);
  if (found !== undefined) return found;
  const places = SIGNATURES.map((signature) => {
    const starts = [];
    for (let at = file.indexOf(signature, 0, 'latin1'); at >= 0; at = file.indexOf(signature, at + 1, 'latin1'))
      starts.push(at);
    return starts;
  });
  // Object headers of version 1 have no signature: version, a zero, messages, references 1, at a multiple of eight.
  const headers = [];
  for (let at = 0; at + 16 <= file.length; at += 8)
    if (file[at] === 1 && file[at + 1] === 0 && file.readUInt16LE(at + 2) < 64 && file.readUInt32LE(at + 4) === 1)
      headers.push(at);
  const all = [...places, headers].filter((starts) => starts.length > 0);
  known.set(file, all);
  return all;
}
