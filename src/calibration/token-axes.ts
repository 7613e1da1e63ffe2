import type { Call, Graph, Node } from '../ir/graph.ts';
import type { OpName } from '../ir/ops/index.ts';
import { axisOf, type Dim, product, type Shape } from '../ir/shape.ts';

/** A part of an axis: how many there are of something, tokens or not. An axis is the product of its parts, the slowest first. */
interface Part {
  readonly size: Dim;
  readonly isTokens: boolean;
}

type Axis = readonly Part[];

/**
 * For each axis of a value, whether it counts tokens: followed from the inputs [..., sequence] from op to op, as sizes alone
 * do not tell where a sequence is as long as something else is wide. Values that no input has a part in are left out.
 */
export function followTokens(graph: Graph): ReadonlyMap<Node, readonly boolean[]> {
  const found = new Map<Node, readonly Axis[]>();
  for (const node of graph.nodes()) {
    const axes = axesOf(node, found);
    if (axes) found.set(node, axes);
  }
  return new Map([...found].map(([node, axes]) => [node, axes.map(hasTokens)]));
}

function axesOf(node: Node, found: ReadonlyMap<Node, readonly Axis[]>): readonly Axis[] | undefined {
  const { shape } = node.type;
  if (node.op === 'input') return shape.map((size, axis) => [{ size, isTokens: axis === shape.length - 1 }]);
  if (node.op === 'constant' || !node.inputs.some((input) => found.has(input))) return undefined;
  const inputs = node.inputs.map((input) => found.get(input) ?? input.type.shape.map(plain));
  return (RULES[node.op] as Rule<OpName> | undefined)?.(node, inputs) ?? broadcast(shape, inputs);
}

function hasTokens(axis: Axis | undefined): boolean {
  return axis?.some(({ isTokens }) => isTokens) ?? false;
}

function plain(size: Dim): Axis {
  return [{ size, isTokens: false }];
}

type Rule<O extends OpName> = (call: Call<O>, inputs: readonly (readonly Axis[])[]) => readonly Axis[];

/** The axes of a result by those of what it is computed from. Ops that are not here work element by element. */
const RULES: { readonly [O in OpName]?: Rule<O> } = {
  linear: byToken,
  conv1d: byToken,
  slice: resize,
  pad: resize,
  concat: resize,
  matmul({ type: { shape }, attrs: { transposeB } }, [a = [], b = []]) {
    const lead = broadcast(shape.slice(0, -2), [a.slice(0, -2), b.slice(0, -2)]);
    return [...lead, a.at(-2) as Axis, b.at(transposeB ? -2 : -1) as Axis];
  },
  gather({ attrs: { axis } }, [x = [], indices = []]) {
    return x.toSpliced(axisOf(axis, x.length) as number, 1, ...indices);
  },
  mean({ attrs: { axis, keepDims } }, [x = []]) {
    return x.toSpliced(axisOf(axis, x.length) as number, 1, ...(keepDims ? [plain(1)] : []));
  },
  transpose: ({ attrs: { permutation } }, [x = []]) => permutation.map((axis) => x[axis] as Axis),
  reshape: ({ type: { shape } }, [x = []]) => regroup(shape, x.flat()),
};

/** Axes of a result [..., channels] whose rows are each made of the same row of x. */
function byToken({ type: { shape } }: Call, [x = []]: readonly (readonly Axis[])[]): readonly Axis[] {
  return x.with(-1, plain(shape.at(-1) as Dim));
}

/** Axes of a part of x, or of more than x: some of the tokens are tokens still, a single one is not. */
function resize({ type: { shape } }: Call, inputs: readonly (readonly Axis[])[]): readonly Axis[] {
  return broadcast(shape, inputs).map((axis, i) => {
    const size = shape[i] as Dim;
    const isChanged = !hasTokens(axis) && inputs.some((input) => hasTokens(input[i]));
    return isChanged && size !== 1 ? [{ size, isTokens: true }] : axis;
  });
}

function broadcast(shape: Shape, inputs: readonly (readonly Axis[])[]): readonly Axis[] {
  return shape.map((dim, i) => {
    const fromEnd = i - shape.length;
    const axes = inputs.map((input) => input.at(fromEnd)).filter((axis) => axis && sizeOfAxis(axis) === dim);
    return axes.find(hasTokens) ?? axes[0] ?? plain(dim);
  });
}

function sizeOfAxis(axis: Axis): Dim {
  return product(axis.map(({ size }) => size));
}

/** Axes of another shape over the same parts in their order. A part that falls into two counts tokens no more. */
function regroup(shape: Shape, parts: Axis): readonly Axis[] {
  const left = parts.filter(({ size }) => size !== 1);
  const axes: Axis[] = [];
  for (const dim of shape) {
    const axis: Part[] = [];
    for (let size = product([]); size !== product([dim]); size = sizeOfAxis(axis)) {
      const next = left.shift();
      const missing = Number(dim) / Number(size);
      if (next === undefined) return shape.map(plain);
      if (!(Number(next.size) > missing)) axis.push(next);
      else {
        axis.push({ size: missing, isTokens: false });
        left.unshift({ size: Number(next.size) / missing, isTokens: false });
      }
    }
    axes.push(axis);
  }
  return axes;
}
