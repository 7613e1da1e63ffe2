/**
 * A dimension is a size or a symbol such as `batch`, bound only at run time; `batch*sequence` is a product and
 * `sequence:32` what is left of a sequence that is cut to 32, min(sequence, 32).
 */
export type Dim = number | string;
/** The dimensions of a value, outermost first. */
export type Shape = readonly Dim[];

/** Sizes of symbols in one run, e.g. `{ sequence: 24 }`. */
export type Bindings = { readonly [symbol: string]: number };

export function isStatic(shape: Shape): shape is readonly number[] {
  return shape.every((dim) => typeof dim === 'number');
}

/** The number of elements; 1 for a scalar. */
export function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (const dim of shape) size *= dim;
  return size;
}

/** The product of dimensions as one dimension: numbers multiply, symbols join in alphabetical order. */
export function product(dims: Shape): Dim {
  let size = 1;
  const symbols: string[] = [];
  for (const dim of dims) {
    for (const part of String(dim).split('*')) {
      if (/^\d+$/.test(part)) size *= Number(part);
      else symbols.push(part);
    }
  }
  if (symbols.length === 0 || size === 0) return size;
  symbols.sort();
  return size === 1 ? symbols.join('*') : [size, ...symbols].join('*');
}

/** The smaller of a dimension and a number; null for a product, of which no dimension is the limited form. */
export function limitedDim(dim: Dim, limit: number): Dim | null {
  if (typeof dim === 'number') return Math.min(dim, limit);
  if (dim.includes('*')) return null;
  const { symbol, limit: earlier } = limitOf(dim);
  return `${symbol}:${Math.min(limit, earlier)}`;
}

/** A symbol without its limit, and the limit: infinite where it has none. */
export function limitOf(part: string): { readonly symbol: string; readonly limit: number } {
  const [symbol = part, limit] = part.split(':');
  return { symbol, limit: limit === undefined ? Number.POSITIVE_INFINITY : Number(limit) };
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

/** The shape that both broadcast to (numpy rules), or null; a symbol equals only itself and 1. */
export function broadcast(a: Shape, b: Shape): Shape | null {
  const rank = Math.max(a.length, b.length);
  const shape: Dim[] = [];
  for (let i = 0; i < rank; i++) {
    const x = a[a.length - rank + i] ?? 1;
    const y = b[b.length - rank + i] ?? 1;
    if (x !== y && x !== 1 && y !== 1) return null;
    shape.push(x === 1 ? y : x);
  }
  return shape;
}

/** The index of an axis, where -1 is the last one; null where there is no such axis. */
export function axisOf(axis: number, rank: number): number | null {
  const at = axis < 0 ? axis + rank : axis;
  return Number.isInteger(at) && at >= 0 && at < rank ? at : null;
}

/** True for an axis that is not the last one. */
export function isBeforeLast(axis: number, { length: rank }: Shape): boolean {
  const at = axisOf(axis, rank);
  return at !== null && at < rank - 1;
}

/**
 * Elements before, along and after an axis: an axis op works on `outer` blocks of `length` rows of `inner` elements.
 */
export function aroundAxis(shape: readonly number[], axis: number): { outer: number; length: number; inner: number } {
  return { outer: sizeOf(shape.slice(0, axis)), length: shape[axis] as number, inner: sizeOf(shape.slice(axis + 1)) };
}

/** The size of a dimension in one run, or null where a symbol is not bound. */
export function bindDim(dim: Dim, bindings: Bindings): number | null {
  if (typeof dim === 'number') return dim;
  let size = 1;
  for (const part of dim.split('*')) {
    if (/^\d+$/.test(part)) {
      size *= Number(part);
      continue;
    }
    const { symbol, limit } = limitOf(part);
    const value = bindings[symbol];
    if (value === undefined) return null;
    size *= Math.min(value, limit);
  }
  return size;
}

/** A shape as graph text prints it: `[batch, 128]`. */
export function shapeText(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}
