import { MbertError } from '../../errors.ts';
import { MAX_NODES, MAX_PORTS, MAX_RANK } from '../../formats/graph-limits.ts';
import type {
  OnnxFile,
  OnnxFileAttribute,
  OnnxFileNode,
  OnnxFunction,
  OnnxValueInfo,
} from '../../formats/onnx-decode.ts';
import { Graph } from '../../ir/graph.ts';
import type { Attr } from '../../ir/op.ts';
import { UNKNOWN_SHAPE } from '../../ir/ops/foreign.ts';
import type { Dim, Shape } from '../../ir/shape.ts';
import { shapeText } from '../../ir/shape.ts';
import type { DType } from '../../ir/tensor.ts';
import { GraphImport, NotExpressible, SameSymbol } from './context.ts';
import { ImportBudget } from './import-budget.ts';
import type { Operation, OperatorReader } from './operation.ts';
import { readers } from './readers.ts';
import { sorted } from './sorted.ts';
import { asIndex, nodeValue, shapeOf, uniformOf, type Value } from './values.ts';

/** Oldest and newest operator set of ONNX's own domain whose operators mean what the readers take them to mean. */
const MIN_OPSET = 11;
const MAX_OPSET = 24;

/** Deepest calls: functions may call functions. */
const MAX_CALLS = 32;

/**
 * Reads the graph of a model as its exporter left it: decomposed norms stay decomposed, but shapes, position ids and
 * index grids are worked out. Symbols are the file's. What the IR has no op for comes as foreign. `path` names the
 * file. Throws MALFORMED for a graph that is none, UNSUPPORTED for an operator set that is too old or too new.
 */
export function importOnnx(file: OnnxFile, path: string): Graph {
  checkOpset(file, path);
  const budget = new ImportBudget();
  const equal = new Map<string, Dim>();
  while (equal.size < MAX_EQUAL_SYMBOLS) {
    try {
      return new Importing(file, path, equal, budget).run();
    } catch (cause) {
      if (!(cause instanceof SameSymbol)) throw cause;
      if (equal.has(cause.from))
        throw new MbertError('MALFORMED', `${path}: graph: ${cause.from} cannot also be ${cause.to}`);
      equal.set(cause.from, cause.to);
    }
  }
  throw new MbertError(
    'UNSUPPORTED',
    `${path}: graph: has more than ${MAX_EQUAL_SYMBOLS} names for sizes that are equal`,
  );
}

/** Most names for equal sizes: exporters name each axis of each input at most; reading starts again for every one. */
const MAX_EQUAL_SYMBOLS = 64;

function checkOpset({ opsets }: OnnxFile, path: string): void {
  const opset = opsets.get('');
  if (opset === undefined)
    throw new MbertError('MALFORMED', `${path}: opset_import: does not name ONNX's own operator set`);
  if (opset >= MIN_OPSET && opset <= MAX_OPSET) return;
  throw new MbertError('UNSUPPORTED', `${path}: opset ${opset} is not supported`, {
    hint: `opsets ${MIN_OPSET} to ${MAX_OPSET} are; onnx.version_converter changes the opset of a model`,
  });
}

/** Values by name, in the graph or in one call of a function. */
interface Scope {
  readonly values: Map<string, Value>;
  readonly nodes: readonly OnnxFileNode[];
  readonly opsets: ReadonlyMap<string, number>;
  /** Attributes that references in a function's attributes stand for. */
  readonly attributes: ReadonlyMap<string, OnnxFileAttribute>;
  /** Prefix of the names of a call's values. */
  readonly prefix: string;
  readonly depth: number;
  /** Scope around a branch, whose values it reads too. */
  readonly outer?: Scope;
}

class Importing {
  readonly #file: OnnxFile;
  readonly #path: string;
  readonly #to: GraphImport;
  readonly #equal: ReadonlyMap<string, Dim>;
  readonly #budget: ImportBudget;
  /** Values among the outputs, whose types the file states there. */
  readonly #outputs: ReadonlyMap<string, OnnxValueInfo>;
  #nodesLeft = MAX_NODES;

  constructor(file: OnnxFile, path: string, equal: ReadonlyMap<string, Dim>, budget: ImportBudget) {
    this.#file = file;
    this.#path = path;
    this.#to = new GraphImport(new Graph(file.graph.name || 'model'), budget);
    this.#equal = equal;
    this.#budget = budget;
    this.#outputs = new Map(file.graph.outputs.map((output) => [output.name, output]));
  }

  run(): Graph {
    const { graph: source, opsets } = this.#file;
    this.#checkPorts('inputs', source.inputs);
    this.#checkPorts('outputs', source.outputs);
    const values = new Map<string, Value>();
    for (const [name, tensor] of source.initializers) values.set(name, { kind: 'tensor', tensor, name });
    for (const input of source.inputs) if (!values.has(input.name)) values.set(input.name, this.#input(input));
    this.#readNodes({ values, nodes: source.nodes, opsets, attributes: new Map(), prefix: '', depth: 0 });
    const { graph } = this.#to;
    if (source.outputs.length === 0) this.#fail('graph', 'has no outputs');
    const named = new Set<string>();
    for (const { name } of source.outputs) {
      if (named.has(name)) this.#fail(`output ${name}`, 'is listed twice');
      named.add(name);
      const value = values.get(name) ?? this.#fail(`output ${name}`, 'is not produced by anything');
      graph.output(name, this.#to.carried(value));
    }
    graph.prune();
    return graph;
  }

  #checkPorts(what: string, ports: readonly OnnxValueInfo[]): void {
    if (ports.length > MAX_PORTS) this.#fail('graph', `has ${ports.length} ${what}, and ${MAX_PORTS} is the limit`);
  }

  #input(info: OnnxValueInfo): Value {
    if (info.dtype === undefined)
      this.#fail(`input ${info.name}`, 'is no tensor of a type that mbert has', 'UNSUPPORTED');
    return nodeValue(this.#to.graph.input(info.name, { dtype: info.dtype, shape: this.#shapeOf(info) }));
  }

  /** Shape of a value, in which sizes without a name get one and symbols that turned out to be equal are one. */
  #shapeOf({ name, shape }: OnnxValueInfo): Shape {
    if (shape === undefined) return UNKNOWN_SHAPE;
    return shape.map((dim, axis) => {
      if (typeof dim === 'number' && dim < 0) this.#fail(name, `has a negative size, ${shapeText([dim])}`);
      let size: Dim = typeof dim === 'number' ? dim : symbolFor(dim || `${name}_${axis}`);
      for (let equal = this.#equal.get(String(size)); equal !== undefined; equal = this.#equal.get(String(equal)))
        size = equal;
      return size;
    });
  }

  #readNodes(scope: Scope): void {
    const cycle = (node: OnnxFileNode, name: string) =>
      this.#fail(node.name, `reads ${name}, which is computed of it: a cycle`);
    for (const node of sorted(scope.nodes, cycle)) {
      if (this.#nodesLeft-- === 0 || !this.#budget.takeNode())
        this.#fail(node.name, `is beyond the limit of ${MAX_NODES} nodes`);
      const inputs = node.inputs.map((name) => (name === '' ? undefined : this.#valueOf(name, node, scope)));
      const called = this.#file.functions.get(`${node.domain}::${node.op}`);
      const outputs = called ? this.#call(called, node, inputs, scope) : this.#read(node, inputs, scope);
      node.outputs.forEach((name, i) => {
        if (name === '') return;
        if (scope.values.has(name)) this.#fail(node.name, `output ${name} exists already`);
        const value = outputs[i];
        if (value) scope.values.set(name, value);
      });
    }
  }

  #valueOf(name: string, node: OnnxFileNode, scope: Scope): Value {
    let maker: OnnxFileNode | undefined;
    for (let around: Scope | undefined = scope; around && !maker; around = around.outer) {
      const value = around.values.get(name);
      if (value !== undefined) return value;
      maker = around.nodes.find(({ outputs }) => outputs.includes(name));
    }
    if (maker === undefined) return this.#fail(node.name, `its input ${name} is not produced by anything`);
    const problem = `reads ${name}, output ${maker.outputs.indexOf(name)} of ${maker.op}, which mbert does not compute`;
    return this.#fail(node.name, problem, 'UNSUPPORTED');
  }

  #read(node: OnnxFileNode, inputs: readonly (Value | undefined)[], scope: Scope): readonly (Value | undefined)[] {
    const { domain, op } = node;
    if (domain === '' && op === 'If') return this.#branch(node, inputs, scope);
    const rows = Object.hasOwn(readers, domain) ? readers[domain] : undefined;
    const reader = rows && Object.hasOwn(rows, op) ? rows[op] : undefined;
    if (reader === undefined) return this.#foreign(node, inputs, scope, undefined);
    const operation: Operation = {
      node: { ...node, attributes: resolved(node.attributes, scope.attributes) },
      opset: scope.opsets.get(domain) ?? 1,
      inputs,
      to: this.#to,
      name: `${scope.prefix}${node.outputs[0] || node.name}`,
    };
    return this.#attempt(reader, operation, scope);
  }

  /** Reads the branch of a choice that the shapes decide; one that the run makes comes as foreign. */
  #branch(node: OnnxFileNode, inputs: readonly (Value | undefined)[], scope: Scope): readonly (Value | undefined)[] {
    const condition = inputs[0] && asIndex(inputs[0]);
    const answer = condition ? uniformOf(condition) : null;
    if (answer === null) return this.#foreign(node, inputs, scope, 'a choice that the run makes');
    if (scope.depth === MAX_CALLS) this.#fail(node.name, `branches deeper than ${MAX_CALLS} levels`);
    const name = answer === 0 ? 'else_branch' : 'then_branch';
    const branch = node.attributes.get(name);
    if (branch?.kind !== 'graph') return this.#fail(node.name, `has no graph as its ${name}`);
    const { nodes, initializers, outputs } = branch.value;
    const values = new Map<string, Value>();
    for (const [key, tensor] of initializers) values.set(key, { kind: 'tensor', tensor, name: key });
    const inside: Scope = { ...scope, values, nodes, depth: scope.depth + 1, outer: scope };
    this.#readNodes(inside);
    return outputs.map((output) => this.#valueOf(output.name, node, inside));
  }

  #attempt(reader: OperatorReader, operation: Operation, scope: Scope): readonly (Value | undefined)[] {
    try {
      const result = reader(operation);
      const values = Array.isArray(result) ? (result as readonly (Value | undefined)[]) : [result as Value];
      for (const value of values) if (value) this.#checkSize(value, operation.node);
      return values;
    } catch (cause) {
      if (!(cause instanceof NotExpressible)) throw cause;
      return this.#foreign(operation.node, operation.inputs, scope, cause.reason);
    }
  }

  /** Refuses what shape arithmetic blows up: each value is worked out, and some double with every node. */
  #checkSize(value: Value, { name }: OnnxFileNode): void {
    const rank = shapeOf(value)?.length ?? 0;
    if (rank > MAX_RANK) this.#fail(name, `makes a value of ${rank} axes, and ${MAX_RANK} is the limit`);
    if (value.kind === 'list' && !this.#budget.takeListed(value.elements.length))
      this.#fail(name, 'is beyond the limit of what shape arithmetic may compute');
  }

  #foreign(
    node: OnnxFileNode,
    inputs: readonly (Value | undefined)[],
    scope: Scope,
    reason: string | undefined,
  ): readonly Value[] {
    const types = node.outputs.map((name, i) => ({
      name: `${scope.prefix}${name || `${node.name}/${i}`}`,
      ...this.#statedType(name, scope),
    }));
    const given = inputs.filter((input) => input !== undefined);
    // Entries, because an attribute may be called __proto__.
    const attributes = [...node.attributes].map(([name, attribute]) => [name, attrOf(attribute)] as const);
    const problem: [string, Attr][] = reason === undefined ? [] : [['problem', reason]];
    return this.#to.foreign(node, given, types, Object.fromEntries([...problem, ...attributes]));
  }

  /** Type that the file states of a value, in its list of values or among its outputs. */
  #statedType(name: string, scope: Scope): { dtype: DType; shape: Shape } {
    const { values } = this.#file.graph;
    const info = scope.depth > 0 ? undefined : (values.get(name) ?? this.#outputs.get(name));
    return { dtype: info?.dtype ?? 'f32', shape: info ? this.#shapeOf(info) : UNKNOWN_SHAPE };
  }

  /** Reads the nodes of a function in place of the node that calls it. */
  #call(
    called: OnnxFunction,
    node: OnnxFileNode,
    inputs: readonly (Value | undefined)[],
    scope: Scope,
  ): (Value | undefined)[] {
    if (scope.depth === MAX_CALLS) this.#fail(node.name, `calls functions deeper than ${MAX_CALLS} levels`);
    const values = new Map<string, Value>();
    called.inputs.forEach((name, i) => {
      const value = inputs[i];
      if (value) values.set(name, value);
    });
    const given = resolved(node.attributes, scope.attributes);
    this.#readNodes({
      values,
      nodes: called.nodes,
      opsets: called.opsets,
      attributes: new Map([...called.attributes, ...given]),
      prefix: `${scope.prefix}${node.name}/`,
      depth: scope.depth + 1,
    });
    return called.outputs.map((name) => values.get(name));
  }

  #fail(part: string, problem: string, code: 'MALFORMED' | 'UNSUPPORTED' = 'MALFORMED'): never {
    throw new MbertError(code, `${this.#path}: ${part}: ${problem}`);
  }
}

/** Symbol for a name: one without `*` that is no number, so that it can stand in products. */
function symbolFor(name: string): string {
  const plain = name.replace(/[^\w.]/g, '_');
  return /^\d/.test(plain) ? `_${plain}` : plain;
}

/** Replaces references among attributes by what they refer to; references to nothing are left out. */
function resolved(
  attributes: ReadonlyMap<string, OnnxFileAttribute>,
  given: ReadonlyMap<string, OnnxFileAttribute>,
): ReadonlyMap<string, OnnxFileAttribute> {
  const all = new Map<string, OnnxFileAttribute>();
  for (const [name, attribute] of attributes) {
    const value = attribute.kind === 'reference' ? given.get(attribute.value) : attribute;
    if (value) all.set(name, value);
  }
  return all;
}

/** An attribute as the IR can carry it: numbers and texts as they are, tensors by their type. */
function attrOf(attribute: OnnxFileAttribute): Attr {
  switch (attribute.kind) {
    case 'texts':
      return attribute.value.join(' ');
    case 'graph':
      return `${attribute.value.nodes.length} nodes`;
    case 'tensor':
      return `${attribute.value.dtype}${shapeText(attribute.value.shape)}`;
    default:
      return attribute.value;
  }
}
