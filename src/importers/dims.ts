import { type Dim, product, type Shape } from '../shape.ts';

/** a / b where that is a whole number or a product of symbols for every size that the symbols may have, else null. */
export function divideDims(a: Dim, b: Dim): Dim | null {
  const left = factors(a);
  const right = factors(b);
  if (right.size === 0) return null;
  for (const symbol of right.symbols) {
    const at = left.symbols.indexOf(symbol);
    if (at < 0) return null;
    left.symbols.splice(at, 1);
  }
  const size = left.size / right.size;
  return Number.isInteger(size) ? product([size, ...left.symbols]) : null;
}

/** The target of a reshape: at most one -1 takes what is left, and 0 keeps a size where `zeroKeeps`. Null where it does not fit. */
export function reshapeTarget(from: Shape, target: Shape, zeroKeeps = false): Shape | null {
  const shape = target.map((dim, i) => (dim === 0 && zeroKeeps ? (from[i] ?? 0) : dim));
  const open = shape.indexOf(-1);
  if (open >= 0) {
    const left = divideDims(product(from), product(shape.filter((_, i) => i !== open)));
    if (left === null) return null;
    shape[open] = left;
  }
  return shape.some((dim) => typeof dim === 'number' && dim < 0) || product(shape) !== product(from) ? null : shape;
}

function factors(dim: Dim): { size: number; symbols: string[] } {
  let size = 1;
  const symbols: string[] = [];
  for (const part of String(dim).split('*')) {
    if (/^\d+$/.test(part)) size *= Number(part);
    else symbols.push(part);
  }
  return { size, symbols };
}
