import type { Node } from '../ir/graph.ts';
import { opDef } from '../ir/ops/index.ts';
import type { Contents } from './contents.ts';
import type { Pairing } from './pairing.ts';
import { isUnordered, type Value } from './side.ts';

/** One input of a pair: what either side reads there. */
export interface Read {
  readonly input: string;
  readonly from: Node | undefined;
  readonly to: Node | undefined;
}

/** True for the same value on both sides; constants are compared elsewhere, so any two will do. */
export function isSameValue(pairing: Pairing, from: Node, to: Node): boolean {
  if (from.op === 'constant' || to.op === 'constant') return from.op === to.op;
  const [a, b] = [pairing.a.index.get(from), pairing.b.index.get(to)];
  return a !== undefined && b !== undefined && pairing.arePaired(a, b);
}

/** The inputs of a pair side by side; where order means nothing, what is the same stands beside each other. */
export function alignInputs(pairing: Pairing, contents: Contents, a: Value, b: Value): Read[] {
  const from = a.inputs;
  const to = isUnordered(a) ? inOrderOf(pairing, contents, from, b.inputs) : b.inputs;
  return Array.from({ length: Math.max(from.length, to.length) }, (_, i) => ({
    input: inputName(a, i),
    from: from[i],
    to: to[i],
  }));
}

function inOrderOf(pairing: Pairing, contents: Contents, from: readonly Node[], to: readonly Node[]): readonly Node[] {
  const left = [...to];
  const take = (fits: (node: Node) => boolean) => {
    const at = left.findIndex(fits);
    return at < 0 ? undefined : left.splice(at, 1)[0];
  };
  const equal = (x: Node, y: Node) => x.op !== 'constant' || y.op !== 'constant' || contents.key(x) === contents.key(y);
  const taken = from.map((x) => take((y) => isSameValue(pairing, x, y) && equal(x, y)));
  const again = from.map((x, i) => taken[i] ?? take((y) => isSameValue(pairing, x, y)));
  return again.map((node) => node ?? left.shift()).filter((node) => node !== undefined);
}

/** The name of an input: `weight`, or `xs 2` of an op that takes any number. */
function inputName(value: Value, position: number): string {
  if (value.op === 'input') return '';
  const { inputs } = opDef(value.op);
  const name = inputs[Math.min(position, inputs.length - 1)] ?? '';
  return name.endsWith('...') ? `${name.slice(0, -3)} ${position - inputs.length + 1}` : name.replace('?', '');
}
