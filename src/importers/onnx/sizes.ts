import { type Dim, limitedDim, limitOf, product } from '../../ir/shape.ts';

/**
 * A whole number that may depend on the sizes of the inputs: a sum of products of symbols, by product (`''` is the
 * constant term). `sequence - 1` is `{ sequence: 1, '': -1 }`. No entry is 0.
 */
export type Size = ReadonlyMap<string, number>;

export function sizeOfDim(dim: Dim): Size {
  if (typeof dim === 'number') return constantSize(dim);
  const parts = dim.split('*');
  const factor = parts.filter(isDigits).reduce((total, part) => total * Number(part), 1);
  return new Map([[parts.filter((part) => !isDigits(part)).join('*'), factor]]);
}

export function constantSize(value: number): Size {
  return value === 0 ? new Map() : new Map([['', value]]);
}

export const ZERO = constantSize(0);
export const ONE = constantSize(1);

/** A size as a number, where it depends on no symbol. */
export function numberOf(size: Size): number | null {
  if (size.size === 0) return 0;
  const value = size.get('');
  return size.size === 1 && value !== undefined ? value : null;
}

/** A size as a dimension: a number or one product of symbols, not negative. */
export function dimOf(size: Size): Dim | null {
  const value = numberOf(size);
  if (value !== null) return Number.isSafeInteger(value) && value >= 0 ? value : null;
  const [[symbols, factor] = ['', 0], ...rest] = size;
  return rest.length === 0 && factor > 0 && Number.isSafeInteger(factor) ? product([factor, symbols]) : null;
}

export function addSizes(a: Size, b: Size): Size {
  const sum = new Map(a);
  for (const [symbols, factor] of b) {
    const total = (sum.get(symbols) ?? 0) + factor;
    if (total === 0) sum.delete(symbols);
    else sum.set(symbols, total);
  }
  return sum;
}

export function negateSize(a: Size): Size {
  return new Map([...a].map(([symbols, factor]) => [symbols, -factor]));
}

export function subtractSizes(a: Size, b: Size): Size {
  return addSizes(a, negateSize(b));
}

/** Most factors of a product: models multiply a handful of sizes, a crafted file could square one thirty times. */
const MAX_FACTORS = 16;

/** Product of two sizes; null where it is longer than anything that a shape needs. */
export function multiplySizes(a: Size, b: Size): Size | null {
  if (a.size * b.size > MAX_FACTORS) return null;
  let sum = ZERO;
  for (const [left, x] of a) {
    for (const [right, y] of b) {
      const symbols = [...split(left), ...split(right)].sort();
      if (symbols.length > MAX_FACTORS) return null;
      sum = addSizes(sum, new Map([[symbols.join('*'), x * y]]));
    }
  }
  return sum;
}

/**
 * Quotient a / b, where b is one product that divides every term of a, else null; numbers divide as ONNX's integers do.
 */
export function divideSizes(a: Size, b: Size): Size | null {
  const x = numberOf(a);
  const y = numberOf(b);
  if (x !== null && y !== null) return y === 0 ? null : constantSize(Math.trunc(x / y));
  const [[divisor, factor] = ['', 0], ...rest] = b;
  if (rest.length > 0 || factor === 0) return null;
  const quotient = new Map<string, number>();
  for (const [symbols, count] of a) {
    const left = withoutSymbols(symbols, divisor);
    if (left === null || !Number.isInteger(count / factor)) return null;
    quotient.set(left, count / factor);
  }
  return quotient;
}

/** Cancels common symbols and the common factor of two equal sizes; null where no simpler equation is left. */
export function quotientOf(a: Size, b: Size): readonly [Size, Size] | null {
  const [[left, x] = ['', 0], ...moreOfA] = a;
  const [[right, y] = ['', 0], ...moreOfB] = b;
  if (moreOfA.length + moreOfB.length > 0 || x === 0 || y === 0) return null;
  const symbols = split(left);
  const others = split(right).filter((symbol) => {
    const at = symbols.indexOf(symbol);
    if (at >= 0) symbols.splice(at, 1);
    return at < 0;
  });
  const [larger, smaller] = x > y ? [x / y, 1] : [1, y / x];
  if (symbols.length > 1 || others.length > 1 || symbols.length + others.length === 0) return null;
  if (!Number.isInteger(larger) || !Number.isInteger(smaller)) return null;
  return [new Map([[symbols.join(), larger]]), new Map([[others.join(), smaller]])];
}

export function sameSize(a: Size, b: Size): boolean {
  return a.size === b.size && [...a].every(([symbols, factor]) => b.get(symbols) === factor);
}

/** Least number that a size can be: every symbol is 1 or more. */
export function leastOf(size: Size): number {
  let least = 0;
  for (const [symbols, factor] of size) {
    if (symbols === '' || factor >= 0) least += factor;
    else least += factor * split(symbols).reduce((most, symbol) => most * limitOf(symbol).limit, 1);
  }
  return least;
}

/** Largest number that a size can be. */
export function mostOf(size: Size): number {
  return 0 - leastOf(negateSize(size));
}

/** The smaller of a size and a number, which is what a slice leaves; null where no dimension can say so. */
export function limitedSize(size: Size, limit: number): Size | null {
  if (mostOf(size) <= limit) return size;
  if (leastOf(size) >= limit) return constantSize(limit);
  const dim = dimOf(size);
  const limited = dim === null || /\d+\*/.test(String(dim)) ? null : limitedDim(dim, limit);
  return limited === null ? null : sizeOfDim(limited);
}

/** Number of elements of a shape. */
export function totalOf(shape: readonly Size[]): Size | null {
  let total: Size | null = ONE;
  for (const size of shape) total = total && multiplySizes(total, size);
  return total;
}

function withoutSymbols(symbols: string, divisor: string): string | null {
  const left = split(symbols);
  for (const symbol of split(divisor)) {
    const at = left.indexOf(symbol);
    if (at < 0) return null;
    left.splice(at, 1);
  }
  return left.join('*');
}

function split(symbols: string): string[] {
  return symbols === '' ? [] : symbols.split('*');
}

function isDigits(part: string): boolean {
  return /^\d+$/.test(part);
}
