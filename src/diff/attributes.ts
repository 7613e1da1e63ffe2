import type { Attr } from '../ir/op.ts';
import { axisOf, type Dim } from '../ir/shape.ts';
import type { AttributesDifference } from './difference.ts';
import type { Dims } from './dims.ts';
import { attrsOf, opName, type Value } from './side.ts';

/** Attributes of a pair that differ, or null; what other input shapes explain does not count. */
export function compareAttributes(a: Value, b: Value, dims: Dims): AttributesDifference | null {
  const from = attrsOf(a);
  const to = attrsOf(b);
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])];
  const differing = names.filter(
    (name) => !isSameAttr(from[name], to[name], dims) && !(name === 'axis' && isSameAxis(a, b)),
  );
  if (differing.length === 0) return null;
  return {
    kind: 'structure',
    change: 'attributes',
    node: { a: a.name, b: b.name },
    op: opName(a),
    attributes: differing.map((name) => ({ name, from: from[name] ?? null, to: to[name] ?? null })),
  };
}

/** True for one axis counted from either end: -1 is the last one. */
function isSameAxis(a: Value, b: Value): boolean {
  const [from, to] = [a, b].map((value) => {
    const { axis } = attrsOf(value);
    const rank = value.inputs[0]?.type.shape.length ?? 0;
    return typeof axis === 'number' ? axisOf(axis, rank) : null;
  });
  return from !== null && from === to;
}

function isSameAttr(a: Attr | undefined, b: Attr | undefined, dims: Dims): boolean {
  if (a === undefined || b === undefined) return a === b;
  if (Array.isArray(a) && Array.isArray(b)) {
    return (a.length === b.length && a.every((item, i) => isSameItem(item, b[i]))) || dims.explain(a, b);
  }
  return isSameItem(a, b) || (isDim(a) && isDim(b) && dims.explain([a], [b]));
}

/** Equality of attributes as formats hold them: an epsilon is an f32, so 1e-12 comes back as 9.999999960041972e-13. */
function isSameItem(a: unknown, b: unknown): boolean {
  if (typeof a !== 'number' || typeof b !== 'number') return a === b;
  const areIntegers = Number.isInteger(a) && Number.isInteger(b);
  return areIntegers ? a === b : Math.fround(a) === Math.fround(b);
}

function isDim(attr: Attr): attr is Dim {
  return typeof attr === 'number' || typeof attr === 'string';
}
