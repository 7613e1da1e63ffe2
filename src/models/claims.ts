import { listNames } from '../errors.ts';
import { shapeText } from '../ir/shape.ts';
import { type ClaimedSize, type Problem, throwProblems } from './config.ts';
import type { NamedCheckpoint } from './names/index.ts';

/** A number in config.json that a weight's shape shows as well. */
export interface SizeClaim {
  readonly size: ClaimedSize;
  readonly weight: string;
  readonly axis: 0 | 1;
}

/** Number of numbered blocks (layers, feed-forward networks) that config.json announces. */
export interface CountClaim {
  readonly size: ClaimedSize;
  /** Blocks that the config counts beyond the numbered ones: MobileBERT's last feed-forward network has no number. */
  readonly extra: number;
  /** Name of one block, and in words what it is a part of. */
  readonly block: string;
  readonly within: string;
  /** Start of the names of a block's weights, `before` n `.` … */
  readonly before: string;
  /** Module that every block has; weights under a number without it are strays, not a block. */
  readonly marker: string;
}

/** The claim that config.json makes of an encoder's layers, whose weights begin with `before`. */
export function layerClaim(size: ClaimedSize, before: string): CountClaim {
  return { size, extra: 0, block: 'encoder layer', within: '', before, marker: 'attention.' };
}

/**
 * Compares config.json with the weights before anything is built, so that a wrong number is reported where it was
 * written and not as a thousand misfits, and so that no loop runs further than the file has weights: a count is asked
 * for only while the counts before it hold.
 */
export function checkClaims(
  { path, configPath, tensors, fileName }: NamedCheckpoint,
  sizes: readonly SizeClaim[],
  counts: Iterable<CountClaim>,
): void {
  const problems: Problem[] = [];
  for (const { size, weight, axis } of sizes) {
    const shape = tensors.get(weight)?.shape;
    const actual = shape?.[axis];
    if (shape === undefined || actual === undefined || actual === size.value) continue;
    // A transposed matrix is said to be one where it is taken.
    if (shape.length === 2 && shape[1 - axis] === size.value) continue;
    const part = shape.length === 1 ? 'values' : axis === 0 ? 'rows' : 'columns';
    problems.push(contradiction(configPath, size, `${fileName(weight)} has ${actual} ${part} ${shapeText(shape)}`));
  }
  const blocks = indexBlocks(tensors.keys());
  for (const claim of counts) {
    const problem = checkCount(path, configPath, claim, blocks);
    if (problem === undefined) continue;
    problems.push(problem);
    break;
  }
  throwProblems(problems);
}

function contradiction(configPath: string, { key, value, isDefault }: ClaimedSize, fact: string): Problem {
  const claim = isDefault ? `is absent, and its default ${value} contradicts the weights:` : `is ${value}, but`;
  return { code: 'MISMATCH', line: `${configPath}: ${key}: ${claim} ${fact}` };
}

function checkCount(path: string, configPath: string, claim: CountClaim, blocks: BlockIndex): Problem | undefined {
  const { size, extra, block, within } = claim;
  const expected = size.value - extra;
  const present = presentBlocks(claim, blocks);
  const last = present.at(-1) ?? -1;
  if (last + 1 === expected && present.length === expected) return undefined;
  if (last >= expected || size.isDefault) {
    return contradiction(configPath, size, `${path} holds ${last + 1 + extra} ${block}s${within}`);
  }
  const missing = missingRanges(present, expected);
  const which = `${block}${expected - present.length > 1 ? 's' : ''} ${listNames(missing)}${within}`;
  const line = `${path}: all weights of ${which} are missing (config says ${size.value} ${block}s)`;
  return { code: 'MISMATCH', line };
}

/** Numbers in the weights' names by what comes before them, with what comes after. */
type BlockIndex = ReadonlyMap<string, readonly { readonly number: number; readonly rest: string }[]>;

/** Indexes all names in one pass, because a crafted file can have a hundred thousand layers to look for. */
function indexBlocks(names: Iterable<string>): BlockIndex {
  const index = new Map<string, { number: number; rest: string }[]>();
  for (const name of names) {
    let depth = 0;
    for (const { 1: digits = '', index: at } of name.matchAll(/(?<=\.)(\d{1,9})\./g)) {
      // Networks within layers: no model nests deeper.
      if (++depth > 2) break;
      const before = name.slice(0, at);
      const blocks = index.get(before) ?? [];
      index.set(before, blocks);
      blocks.push({ number: Number(digits), rest: name.slice(at + digits.length + 1) });
    }
  }
  return index;
}

/** Numbers of the blocks that the file holds, ascending. */
function presentBlocks({ before, marker }: CountClaim, blocks: BlockIndex): number[] {
  const numbers = new Set<number>();
  for (const { number, rest } of blocks.get(before) ?? []) if (rest.startsWith(marker)) numbers.add(number);
  return [...numbers].sort((a, b) => a - b);
}

/** Numbers below `count` that are not in `present`, in words: `2`, `5 to 7`. */
function missingRanges(present: readonly number[], count: number): string[] {
  const ranges: string[] = [];
  let next = 0;
  for (const number of [...present, count]) {
    if (number > next) ranges.push(number - next === 1 ? `${next}` : `${next} to ${number - 1}`);
    next = number + 1;
  }
  return ranges;
}
