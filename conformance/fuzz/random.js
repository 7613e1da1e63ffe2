// Seeded choices: the same text gives the same input on every machine.
import { createHash } from 'node:crypto';

/** Numbers that lengths, offsets, sizes and indices go wrong with. */
const EDGES = [
  0n,
  1n,
  2n,
  7n,
  127n,
  128n,
  255n,
  256n,
  32767n,
  65535n,
  65536n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
];
const WIDE_EDGES = [...EDGES, 2n ** 32n, 2n ** 32n + 1n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n];

/** Texts that names, paths and keys go wrong with. */
const TEXTS = [
  '',
  '__proto__',
  'constructor',
  'hasOwnProperty',
  '../../../../../../etc/hostname',
  '/etc/hostname',
  'a/../b',
  '\u001b[31mred\u001b[0m',
  'two\nlines',
  '\u0000',
  '\ufffd\u202e',
  '💥'.repeat(3),
  'x'.repeat(70_000),
  '1e999',
  '-1',
  'null',
];

/** @typedef {ReturnType<typeof randomOf>} Random */

/**
 * Choices that follow from a text alone (mulberry32 from its hash).
 * @param {string} text
 */
export function randomOf(text) {
  let state = createHash('sha256').update(text).digest().readUInt32LE(0);
  const unit = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (/** @type {number} */ end) => Math.floor(unit() * end);
  /** @template T @param {readonly T[]} list */
  const pick = (list) => /** @type {T} */ (list[below(list.length)]);
  return {
    below,
    pick,
    chance: (/** @type {number} */ share) => unit() < share,
    text: () => pick(TEXTS),
    /** Another value of a field of `bits`: an edge, a neighbour, or any. @param {bigint} old @param {number} bits */
    integer(old, bits) {
      const how = below(4);
      if (how === 0) return BigInt.asUintN(bits, old + pick([1n, -1n, 4n, -4n]));
      if (how === 1) return BigInt(below(40));
      if (how === 2) return BigInt.asUintN(bits, BigInt(below(2 ** 31)) * (old + 1n));
      return BigInt.asUintN(bits, pick(bits > 32 ? WIDE_EDGES : EDGES));
    },
  };
}
