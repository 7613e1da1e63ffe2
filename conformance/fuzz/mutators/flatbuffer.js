// TFLite: every offset, length, vtable entry and number of the file is a place, found by walking the tables of its schema.
import { mutateBytes, writeInteger } from './bytes.js';

/**
 * Fields of TFLite's tables in the order of their ids: a number's bytes, 'text', [vector of], or the table's name.
 * @type {Readonly<Record<string, readonly unknown[]>>}
 */
const TABLES = {
  Model: [4, ['OperatorCode'], ['SubGraph'], 'text', ['Buffer'], [4], ['Metadata'], ['SignatureDef']],
  OperatorCode: [1, 'text', 4, 4],
  SubGraph: [['Tensor'], [4], [4], ['Operator'], 'text'],
  Tensor: [[4], 1, 4, 'text', 'Quantization', 1, 'Sparsity', [4], 1],
  Quantization: [[4], [4], [4], [8], 1, 'Details', 4],
  Details: [[4], [8], 4, 4],
  Sparsity: [[4], [4], ['Anything']],
  Operator: [4, [4], [4], 1, 'Anything', [1], 1, [1], [4]],
  Buffer: [[1], 8, 8],
  Metadata: ['text', 4],
  SignatureDef: [['TensorMap'], ['TensorMap'], 'text', 'text', 4],
  TensorMap: ['text', 4],
  Anything: [4, 4, 4, 4, 4, 4, 4, 4],
};

/** Elements of a long vector that are places: weights are no structure. */
const MAX_ELEMENTS = 24;

/** @typedef {{ at: number, size: number }} Place */

/** @param {Buffer} good @param {import('../random.js').Random} random */
export function mutateFlatbuffer(good, random) {
  if (random.chance(0.04)) return mutateBytes(good, random);
  const byTable = placesOf(good);
  const bytes = Buffer.from(good);
  // A table's kind first: a file has a hundred tensors and one subgraph.
  for (let edits = 1 + random.below(3); edits > 0; edits--) {
    const places = random.pick([...byTable.values()]);
    const { at, size } = random.pick(places);
    const other = random.pick(places);
    // Half of the numbers come from a place of the same kind: an index, an offset or a type that is right elsewhere.
    if (other.size === size && random.chance(0.4)) bytes.copyWithin(at, other.at, other.at + size);
    else writeInteger(bytes, at, size, random);
  }
  return random.chance(0.03) ? bytes.subarray(0, random.below(bytes.length)) : bytes;
}

/** @type {WeakMap<Buffer, Map<string, Place[]>>} */
const known = new WeakMap();

/** @param {Buffer} file */
function placesOf(file) {
  const found = known.get(file);
  if (found !== undefined) return found;
  /** @type {Map<string, Place[]>} */
  const places = new Map([
    [
      'file',
      [
        { at: 0, size: 4 },
        { at: 4, size: 4 },
      ],
    ],
  ]);
  const walk = { file, places, visited: new Set() };
  table(walk, file.readUInt32LE(0), 'Model');
  known.set(file, places);
  return places;
}

/** @typedef {{ file: Buffer, places: Map<string, Place[]>, visited: Set<number> }} Walk */

/** @param {Walk} walk @param {string} kind @param {number} at @param {number} size */
function note({ places }, kind, at, size) {
  const list = places.get(kind);
  if (list) list.push({ at, size });
  else places.set(kind, [{ at, size }]);
}

/** @param {Walk} walk @param {number} at @param {string} name */
function table(walk, at, name) {
  const { file, visited } = walk;
  if (visited.has(at) || at + 4 > file.length) return;
  visited.add(at);
  note(walk, `${name} vtable`, at, 4);
  const vtable = at - file.readInt32LE(at);
  const size = file.readUInt16LE(vtable);
  note(walk, `${name} vtable`, vtable, 2);
  note(walk, `${name} vtable`, vtable + 2, 2);
  for (const [id, kind] of (TABLES[name] ?? []).entries()) {
    const entry = vtable + 4 + 2 * id;
    if (entry + 2 > vtable + size) return;
    note(walk, `${name} vtable`, entry, 2);
    const offset = file.readUInt16LE(entry);
    if (offset !== 0) value(walk, at + offset, kind, `${name} ${id}`);
  }
}

/** @param {Walk} walk @param {number} at @param {unknown} kind @param {string} what */
function value(walk, at, kind, what) {
  const { file } = walk;
  if (typeof kind === 'number') return note(walk, what, at, kind);
  if (at + 4 > file.length) return;
  note(walk, `${what} offset`, at, 4);
  const target = at + file.readUInt32LE(at);
  if (target + 4 > file.length) return;
  if (typeof kind === 'string' && kind !== 'text') return table(walk, target, kind);
  const length = file.readUInt32LE(target);
  note(walk, `${what} length`, target, 4);
  const [element] = Array.isArray(kind) ? kind : [1];
  const bytes = typeof element === 'number' ? element : 4;
  for (let i = 0; i < Math.min(length, typeof element === 'number' ? MAX_ELEMENTS : length); i++) {
    const place = target + 4 + i * bytes;
    if (typeof element === 'number') note(walk, what, place, bytes);
    else value(walk, place, element, what);
  }
}
