// Pickles: opcodes that are gone, doubled, moved or others, and other numbers, texts and memo places behind them.
import { mutateBytes } from './bytes.js';

/** What stands behind an opcode: so many bytes, a text up to a line break ('line', 'lines' two), or a length of so many bytes and its bytes. */
const ARGUMENTS = /** @type {Readonly<Record<string, number | 'line' | 'lines' | { length: number }>>} */ ({
  '\x80': 1,
  K: 1,
  M: 2,
  J: 4,
  G: 8,
  h: 1,
  q: 1,
  j: 4,
  r: 4,
  '\x82': 1,
  '\x83': 2,
  '\x84': 4,
  '\x95': 8,
  c: 'lines',
  i: 'lines',
  I: 'line',
  L: 'line',
  F: 'line',
  S: 'line',
  V: 'line',
  P: 'line',
  g: 'line',
  p: 'line',
  X: { length: 4 },
  '\x8c': { length: 1 },
  '\x8d': { length: 8 },
  B: { length: 4 },
  C: { length: 1 },
  '\x8e': { length: 8 },
  T: { length: 4 },
  U: { length: 1 },
  '\x8a': { length: 1 },
  '\x8b': { length: 4 },
});

/** Opcodes without arguments. */
const PLAIN = [...'(.012NQRabdelostu})]'].concat([
  '\x81',
  '\x85',
  '\x86',
  '\x87',
  '\x88',
  '\x89',
  '\x8f',
  '\x90',
  '\x91',
  '\x92',
  '\x93',
  '\x94',
]);

/** @typedef {{ code: string, bytes: Buffer }} Step */

/** @param {Buffer} good @param {import('../random.js').Random} random */
export function mutatePickle(good, random) {
  if (random.chance(0.06)) return mutateBytes(good, random);
  const { steps, end } = stepsOf(good);
  for (let edits = 1 + random.below(3); edits > 0; edits--) edit(steps, random);
  return Buffer.concat([...steps.map(({ bytes }) => bytes), good.subarray(end)]);
}

/** The steps up to the first STOP. @param {Buffer} bytes */
function stepsOf(bytes) {
  const steps = [];
  let at = 0;
  while (at < bytes.length) {
    const code = String.fromCharCode(bytes[at] ?? 0);
    const argument = ARGUMENTS[code] ?? 0;
    let end = at + 1;
    if (typeof argument === 'number') end += argument;
    else if (typeof argument === 'object')
      end += argument.length + bytes.readUIntLE(at + 1, Math.min(6, argument.length));
    else for (let lines = argument === 'lines' ? 2 : 1; lines > 0; lines--) end = bytes.indexOf(10, end) + 1;
    steps.push({ code, bytes: Buffer.from(bytes.subarray(at, end)) });
    at = end;
    if (code === '.') break;
  }
  return { steps, end: at };
}

/** @param {Step[]} steps @param {import('../random.js').Random} random */
function edit(steps, random) {
  const at = random.below(steps.length);
  const own = /** @type {Step} */ (steps[at]);
  const how = random.below(9);
  if (how === 0) steps.splice(at, 1 + random.below(3));
  else if (how === 1) steps.splice(at, 0, ...steps.slice(at, at + 1 + random.below(40)));
  else if (how === 2) steps.splice(at, 0, ...Array(random.pick([1, 1, 1, 3000])).fill(plain(random.pick(PLAIN))));
  else if (how === 3) steps[at] = plain(random.pick(PLAIN));
  else if (how === 4) steps[at] = /** @type {Step} */ (random.pick(steps));
  else if (how === 5) {
    const other = random.below(steps.length);
    steps[at] = /** @type {Step} */ (steps[other]);
    steps[other] = own;
  } else steps[at] = { code: own.code, bytes: otherArgument(own, random) };
  if (steps.length === 0) steps.push(own);
}

/** @param {string} code */
function plain(code) {
  return { code, bytes: Buffer.from(code, 'latin1') };
}

/** @param {Step} step @param {import('../random.js').Random} random */
function otherArgument({ code, bytes }, random) {
  const argument = ARGUMENTS[code];
  const head = bytes.subarray(0, 1);
  if (typeof argument === 'object' && random.chance(0.7)) {
    const text = random.chance(0.5)
      ? Buffer.from(random.text())
      : mutateBytes(bytes.subarray(1 + argument.length), random);
    const kept = argument.length === 1 ? text.subarray(0, 255) : text;
    const length = Buffer.alloc(argument.length);
    length.writeUIntLE(kept.length, 0, Math.min(6, argument.length));
    return Buffer.concat([head, length, kept]);
  }
  if (argument === 'line' || argument === 'lines') {
    const text = random.pick([
      random.text().replaceAll('\n', ' '),
      `${random.integer(7n, 64)}`,
      `-${random.integer(7n, 64)}`,
    ]);
    return Buffer.concat([
      head,
      Buffer.from(argument === 'lines' ? `${text}\n${random.text().replaceAll('\n', '')}\n` : `${text}\n`),
    ]);
  }
  return bytes.length > 1 ? Buffer.concat([head, mutateBytes(bytes.subarray(1), random)]) : bytes;
}
