import { invalid } from '../ir/op.ts';
import { type Dim, isStatic, product, type Shape, shapeText } from '../ir/shape.ts';

/** Names of a BERT's axes whose sizes are open. */
const AXIS_NAMES = ['batch', 'sequence'];

/** Symbol of an input's open size by its axis: the inputs of a BERT agree in batch and sequence. */
export function axisSymbol(axis: number): string {
  return AXIS_NAMES[axis] ?? `axis${axis}`;
}

/** Quotient a / b, if it is a whole number or a product of symbols whatever sizes the symbols have, else null. */
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

/** Target of a reshape, in which one -1 takes what is left. Null where symbols leave that open; numbers must fit. */
export function reshapeTarget(from: Shape, target: Shape): Shape | null {
  const shape = [...target];
  const open = shape.indexOf(-1);
  const left = open < 0 ? 1 : divideDims(product(from), product(shape.toSpliced(open, 1)));
  if (open >= 0) shape[open] = left ?? -1;
  if (isSized(shape) && product(shape) === product(from)) return shape;
  return isStatic(from) && isStatic(target) ? invalid(`reshape of ${shapeText(from)} to ${shapeText(target)}`) : null;
}

function isSized(shape: Shape): boolean {
  return shape.every((dim) => typeof dim === 'string' || dim >= 0);
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
