import { MbertError } from '../../errors.ts';
import type { OnnxFileNode } from '../../formats/onnx-decode.ts';
import { evaluateNode } from '../../ir/evaluate.ts';
import { evaluationSteps } from '../../ir/evaluation-steps.ts';
import type { Constant, Graph, Node } from '../../ir/graph.ts';
import { isFloat } from '../../ir/op.ts';
import { type AttrsOf, type OpName, opDef } from '../../ir/ops/index.ts';
import { isStatic, limitOf, type Shape, sizeOf } from '../../ir/shape.ts';
import { computedNow, convertTensor, type DType, scalarTensor, type Tensor, tensorOf } from '../../ir/tensor.ts';
import { countedNode, sizesNode } from './counted.ts';
import type { ImportBudget } from './import-budget.ts';
import { numberOf, quotientOf, type Size, sameSize, sizeOfDim } from './sizes.ts';
import {
  asList,
  dimsOf,
  dtypeOf,
  type IndexValue,
  type ListValue,
  type NodeValue,
  nodeValue,
  shapeOf,
  type TensorValue,
  tensorOfList,
  uniformOf,
  type Value,
} from './values.ts';

/** Signal, thrown where two sizes meet that must be equal: the import starts again with one name for both. */
export class SameSymbol {
  readonly from: string;
  readonly to: string | number;

  constructor(from: string, to: string | number) {
    this.from = from;
    this.to = to;
  }
}

/** Signal, thrown with the reason why an operator is carried along as foreign. */
export class NotExpressible {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/** Most elements of what is computed at once from constants: scales and masks that exporters leave as arithmetic. */
const MAX_FOLDED_ELEMENTS = 4096;

/** Graph into which the operators of one ONNX graph are read. */
export class GraphImport {
  readonly graph: Graph;
  /** Sentences for the user on parts of the file that are read otherwise than they stand there; no sentence twice. */
  readonly notes = new Set<string>();
  readonly #constants = new Map<Tensor, Constant>();
  /** Constants as real numbers: a table may be read both as the integers that it stores and as what these stand for. */
  readonly #quantizedConstants = new Map<Tensor, Constant>();

  readonly #budget: ImportBudget;

  constructor(graph: Graph, budget: ImportBudget) {
    this.graph = graph;
    this.#budget = budget;
  }

  /** Adds a node that reads the values in their full shapes. */
  emit<O extends OpName>(op: O, inputs: readonly Value[], attrs: Partial<AttrsOf<O>>, name: string): Value {
    return this.#fold(
      this.#add(
        op,
        inputs.map((input) => this.node(input)),
        attrs,
        name,
      ),
    );
  }

  /** Adds a node that treats every element alike: a repeated input is computed once and its result repeated. */
  elementwise<O extends OpName>(op: O, inputs: readonly Value[], attrs: Partial<AttrsOf<O>>, name: string): Value {
    const [first] = inputs;
    if (first?.kind === 'cut' && inputs.length === 1) {
      const x = this.elementwise(op, [first.x], attrs, name);
      return x.kind === 'node' ? { ...first, x } : x;
    }
    const operands = inputs.map((input) => this.repeated(input));
    if (operands.some((operand) => shapeOf(operand) === null)) notExpressible('an input of unknown shape');
    const shape = operands.map((operand) => operand.shape).reduce((a, b) => this.joinShapes(a, b));
    const node = this.#add(
      op,
      operands.map((operand) => operand.node),
      attrs,
      name,
    );
    const folded = this.#fold(node);
    return folded.kind === 'node' || !sameSizes(node.type.shape.map(sizeOfDim), shape)
      ? nodeValue(node, shape)
      : folded;
  }

  /** The value as a node of its full shape. */
  node(value: Value): Node {
    switch (value.kind) {
      case 'node': {
        const shape = dimsOf(value.shape) ?? notExpressible('a size that is no product');
        if (sameSizes(value.node.type.shape.map(sizeOfDim), value.shape)) return value.node;
        return this.graph.add('expand', [value.node], { shape }, `${value.node.name}/expanded`);
      }
      case 'tensor':
        return this.constant(value);
      case 'list':
      case 'index':
        return this.#numbers(value);
      case 'tuple':
        return this.#unknown(
          'Concat',
          value.parts,
          'indices along several axes that something else than GatherND reads',
        );
      case 'cut':
        return this.#unknown('Slice', [value.x], 'a slice up to a size that only the run knows', value);
      case 'padded':
        return this.#unknown(
          'Pad',
          [value.x],
          'padding that nothing cuts off, of a size that only the run knows',
          value,
        );
      default: {
        const x = value.kind === 'scale product' ? value.of[0] : value.x;
        return this.#unknown('DynamicQuantizeLinear', [x], 'integers of the run that no product reads');
      }
    }
  }

  /** The value as a node, also where the IR has no form for it: then one that stands for it and says why. */
  carried(value: Value): Node {
    try {
      return this.node(value);
    } catch (cause) {
      if (!(cause instanceof NotExpressible)) throw cause;
      return this.#standIn('Expand', value.kind === 'node' ? [value.node] : [], cause.reason, value);
    }
  }

  /** The value as a node that may be smaller than the shape it is repeated to. */
  repeated(value: Value): NodeValue {
    if (value.kind === 'node') return value;
    return value.kind === 'index' ? this.#grid(value) : nodeValue(this.node(value));
  }

  constant(value: TensorValue): Constant {
    const constants = value.quant ? this.#quantizedConstants : this.#constants;
    const constant = constants.get(value.tensor) ?? this.graph.constant(value.tensor, value.name, value.quant);
    constants.set(value.tensor, constant);
    return constant;
  }

  /** The shape that both broadcast to. A symbol that meets another size is taken to be that size. */
  joinShapes(a: readonly Size[], b: readonly Size[]): readonly Size[] {
    const rank = Math.max(a.length, b.length);
    const shape: Size[] = [];
    for (let i = 0; i < rank; i++) {
      const x = a[a.length - rank + i];
      const y = b[b.length - rank + i];
      if (x === undefined || y === undefined) shape.push((x ?? y) as Size);
      else if (numberOf(x) === 1) shape.push(y);
      else if (numberOf(y) === 1) shape.push(x);
      else {
        this.equate(x, y);
        shape.push(x);
      }
    }
    return shape;
  }

  /** Takes two sizes to be one, as 2·a and 2·b where a is b; where they cannot be, the graph makes no sense. */
  equate(a: Size, b: Size): void {
    if (sameSize(a, b)) return;
    const [left, right] = quotientOf(a, b) ?? [a, b];
    const [x, y] = unlimited(symbolOf(left), symbolOf(right));
    if (typeof x === 'string' && y !== null && !x.includes(':')) throw new SameSymbol(x, y);
    if (typeof y === 'string' && x !== null && !y.includes(':')) throw new SameSymbol(y, x);
    notExpressible('sizes that are not equal');
  }

  /** Carries an operator along. The types of its values are what the file or the caller says of them. */
  foreign(
    node: OnnxFileNode,
    inputs: readonly Value[],
    types: readonly { readonly name: string; readonly dtype: DType; readonly shape: Shape }[],
    attrs: AttrsOf<'foreign'>,
  ): Value[] {
    const nodes = inputs.map((input) => this.carried(input));
    const op = node.domain === '' ? node.op : `${node.domain}::${node.op}`;
    const [only, ...others] = types;
    if (only && others.length === 0) {
      const all = { ...attrs, op, outputDtype: only.dtype, outputShape: only.shape };
      return [nodeValue(this.graph.add('foreign', nodes, all, only.name))];
    }
    const whole = this.graph.add('foreign', nodes, { ...attrs, op }, node.name);
    return types.map(({ name, dtype, shape }, index) =>
      nodeValue(this.graph.add('pick', [whole], { index, outputDtype: dtype, outputShape: shape }, name)),
    );
  }

  #add<O extends OpName>(op: O, inputs: readonly Node[], attrs: Partial<AttrsOf<O>>, name: string): Node {
    if (inputs.some((input) => input.type.shape[0] === '?')) notExpressible('an input of unknown shape');
    return expressed(() => this.graph.add(op, inputs, attrs, name) as unknown as Node);
  }

  #fold(node: Node): Value {
    const { shape } = node.type;
    const computable = node.op !== 'input' && node.op !== 'constant' && opDef(node.op).evaluate !== undefined;
    if (!computable || !isStatic(shape) || sizeOf(shape) > MAX_FOLDED_ELEMENTS) return nodeValue(node);
    if (!node.inputs.every((input) => input.op === 'constant' && sizeOf(input.tensor.shape) <= MAX_FOLDED_ELEMENTS)) {
      return nodeValue(node);
    }
    if (!this.#budget.takeFolding(evaluationSteps(node))) return nodeValue(node);
    const constants = node.inputs.map((input) => evaluateNode(input, [], {}));
    // Stored, as one that computes would compute all that it is made of whenever somebody reads it.
    const tensor = computedNow(expressed(() => evaluateNode(node, constants, {})));
    return { kind: 'tensor', tensor, name: node.name };
  }

  #filled(value: IndexValue, number: number): NodeValue {
    const tensor = filledTensor(value.dtype, number);
    return nodeValue(this.graph.constant(tensor), value.shape);
  }

  /** The node of numbers that have come to be data after all; of unknown ones, what makes them. */
  #numbers(value: ListValue | IndexValue): Node {
    const listed = this.#listed(value);
    if (listed) return listed;
    return value.kind === 'index' ? this.node(this.#grid(value)) : sizesNode(this.graph, value);
  }

  /** Numbers as a constant, where they are few and no symbol has a part in them. */
  #listed(value: Value): Constant | null {
    const list = asList(value);
    const tensor = list && tensorOfList(list);
    return tensor && this.graph.constant(tensor);
  }

  /** A grid as data: one number, a constant, or a range along each axis that it counts. */
  #grid(value: IndexValue): NodeValue {
    const number = uniformOf(value);
    if (number !== null) return this.#filled(value, number);
    const listed = this.#listed(value);
    if (listed) return nodeValue(listed);
    const counted = countedNode(this.graph, value);
    return nodeValue(
      counted ?? this.#unknown('Range', [], 'indices of another form than counts', value),
      counted ? value.shape : undefined,
    );
  }

  #unknown(op: string, inputs: readonly Value[], problem: string, like: Value | undefined = undefined): Node {
    const nodes = inputs.map((input) => this.carried(input));
    return this.#standIn(op, nodes, problem, like);
  }

  /** A foreign node in the place of a value that the IR has no form for, of its type where that can be said. */
  #standIn(op: string, nodes: readonly Node[], problem: string, like: Value | undefined): Node {
    const shape = like && shapeOf(like);
    const dims = shape && dimsOf(shape);
    const type = { ...(like && { outputDtype: dtypeOf(like) }), ...(dims && { outputShape: dims }) };
    return this.graph.add('foreign', nodes, { op, problem, ...type });
  }
}

export function notExpressible(reason: string): never {
  throw new NotExpressible(reason);
}

/** Runs `make`; an operator that an op refuses is carried along as foreign, with the op's own words. */
function expressed<T>(make: () => T): T {
  try {
    return make();
  } catch (cause) {
    if (cause instanceof MbertError && cause.code === 'INVALID_GRAPH') notExpressible(cause.message);
    throw cause;
  }
}

export function sameSizes(a: readonly Size[], b: readonly Size[]): boolean {
  return a.length === b.length && a.every((size, i) => sameSize(size, b[i] as Size));
}

/** A size as one symbol or a number; null where it is neither. */
function symbolOf(size: Size): string | number | null {
  const number = numberOf(size);
  if (number !== null) return number;
  const [[symbol, factor] = ['', 0], ...rest] = size;
  return rest.length === 0 && factor === 1 && !symbol.includes('*') ? symbol : null;
}

/** Two sizes without a limit that both have: sequences cut alike are equal where the sequences are. */
function unlimited(
  a: string | number | null,
  b: string | number | null,
): readonly [string | number | null, string | number | null] {
  const [x, y] = [limitOf(String(a)), limitOf(String(b))];
  if (Number.isFinite(x.limit) && x.limit === y.limit) return [x.symbol, y.symbol];
  // A sequence that is cut to 32 and has 24 tokens had no more before.
  if (typeof b === 'number' && b < x.limit && Number.isFinite(x.limit)) return [x.symbol, b];
  if (typeof a === 'number' && a < y.limit && Number.isFinite(y.limit)) return [a, y.symbol];
  return [a, b];
}

function filledTensor(dtype: DType, number: number): Tensor {
  return isFloat(dtype) ? scalarTensor(number) : convertTensor(tensorOf('f64', [], Float64Array.of(number)), dtype);
}
