import { MbertError } from '../../errors.ts';
import { MAX_NODES } from '../../formats/graph-limits.ts';
import type { TfAttributes, TfFunction, TfGraph, TfNode } from '../../formats/graphdef.ts';
import { lookUp } from '../../io/look-up.ts';

/** A node of the graph after all calls are resolved: its inputs are values, not names. */
export interface FlatNode {
  /** Name, which no other node has. */
  readonly name: string;
  readonly op: string;
  /** Name that the file has for the op, where it is another. */
  readonly foreignOp?: string;
  readonly attributes: TfAttributes;
  readonly inputs: readonly FlatValue[];
}

export interface FlatValue {
  readonly node: FlatNode;
  /** Index among the node's outputs. */
  readonly output: number;
}

/** A graph or the body of one call, with what its names stand for. */
interface Scope {
  readonly nodes: ReadonlyMap<string, TfNode>;
  /**
   * Call of a function, with the reference in the caller that each argument stands for; undefined for the main graph.
   */
  readonly call:
    | { readonly caller: Scope; readonly function: TfFunction; readonly values: ReadonlyMap<string, string> }
    | undefined;
  readonly path: string;
  readonly depth: number;
  readonly flat: Map<TfNode, FlatNode | 'open'>;
  readonly bodies: Map<TfNode, Scope>;
  readonly resolved: Map<string, NodeOutput>;
}

interface Reference {
  readonly scope: Scope;
  readonly name: string;
}

/** A value before its node is flattened. */
export interface NodeOutput {
  readonly scope: Scope;
  readonly node: TfNode;
  readonly output: number;
}

/** Deepest nesting of calls: TF2 nests a signature two deep; Keras layers that were traced apart may add some. */
const MAX_CALL_DEPTH = 64;

/** Most nodes of all bodies that are opened, for each call anew: only those that are needed become nodes of the graph. */
const MAX_BODY_NODES = 2 * MAX_NODES;

/** Nodes whose memory a call takes beside those of its body. */
const NODES_OF_CALL = 16;

const CALLS: ReadonlySet<string> = new Set(['PartitionedCall', 'StatefulPartitionedCall']);

/** Nodes whose outputs are their inputs. */
const PASSED_ON: ReadonlySet<string> = new Set([
  'CheckNumerics',
  'EnsureShape',
  'Identity',
  'IdentityN',
  'PreventGradient',
  'ReadVariableOp',
  'Snapshot',
  'StopGradient',
]);

/** Outputs by name of ops with several, for references from inside functions; others count one list. */
const OUTPUTS: { readonly [op: string]: readonly string[] } = {
  Merge: ['output', 'value_index'],
  Switch: ['output_false', 'output_true'],
  TopKV2: ['values', 'indices'],
  Unique: ['y', 'idx'],
};

/**
 * Resolver of a graph's names, functions and identities. Only what is asked for is looked at, so functions that save or
 * train cost nothing. `file` names the source for errors.
 */
export class Inliner {
  readonly main: Scope;
  readonly #graph: TfGraph;
  readonly #file: string;
  readonly #names = new Set<string>();
  #bodyNodesLeft = MAX_BODY_NODES;
  /** Nodes flattened so far, inputs before users. */
  readonly order: FlatNode[] = [];

  constructor(graph: TfGraph, file: string) {
    this.#graph = graph;
    this.#file = file;
    this.main = this.#scope(graph.nodes, undefined, '');
  }

  /** The scope of a function that a node of the main graph calls. */
  bodyOf(call: TfNode): Scope {
    return this.#body(this.main, call);
  }

  isCall(node: TfNode): boolean {
    return CALLS.has(node.op);
  }

  /** Finds what a reference leads to, behind calls and identities. */
  resolve(scope: Scope, reference: string): NodeOutput {
    // Every step of a chain is remembered, or a chain with readers all along it would take quadratic time.
    const steps: Reference[] = [];
    for (let at: Reference = { scope, name: reference }; ; ) {
      const next = at.scope.resolved.get(at.name) ?? this.#step(at);
      steps.push(at);
      if ('node' in next) {
        for (const step of steps) step.scope.resolved.set(step.name, next);
        return next;
      }
      if (steps.length > MAX_NODES) throw this.#malformed(`${at.scope.path}${at.name}: leads to itself`);
      at = next;
    }
  }

  /** Finds the reference that a reference stands for, or the node where it ends. */
  #step({ scope, name: reference }: Reference): Reference | NodeOutput {
    const { name, output } = parseReference(reference);
    const outer = scope.call?.values.get(name);
    if (scope.call !== undefined && outer !== undefined) return { scope: scope.call.caller, name: outer };
    const node = scope.nodes.get(name);
    if (node === undefined) throw this.#malformed(`${scope.path}${name}: no node has this name`);
    const index = outputIndex(node, output);
    if (CALLS.has(node.op)) {
      const body = this.#body(scope, node);
      return { scope: body, name: this.#returned(body, index) };
    }
    if (!PASSED_ON.has(node.op)) return { scope, node, output: index };
    const source = dataInputs(node)[index];
    if (source === undefined) throw this.#malformed(`${scope.path}${name}: has no input ${index}`);
    return { scope, name: source };
  }

  /** Adds a reference's value and everything that it needs to `order`. Throws MALFORMED for cycles. */
  flatten(scope: Scope, reference: string): FlatValue {
    const root = this.resolve(scope, reference);
    // An explicit stack: graphs are thousands of nodes deep.
    const stack: { source: NodeOutput; inputs: NodeOutput[]; values: FlatValue[] }[] = [];
    const enter = (source: NodeOutput) => {
      source.scope.flat.set(source.node, 'open');
      const inputs = dataInputs(source.node).map((input) => this.resolve(source.scope, input));
      stack.push({ source, inputs, values: [] });
    };
    if (!root.scope.flat.has(root.node)) enter(root);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const input = top.inputs[top.values.length];
      if (input === undefined) {
        this.#close(top.source, top.values);
        stack.pop();
        continue;
      }
      const flat = input.scope.flat.get(input.node);
      if (flat === 'open') {
        throw new MbertError(
          'UNSUPPORTED',
          `${this.#file}: ${input.scope.path}${input.node.name}: takes part in a cycle`,
          {
            hint: 'loops of TensorFlow 1 are not supported',
          },
        );
      }
      if (flat === undefined) enter(input);
      else top.values.push({ node: flat, output: input.output });
    }
    return { node: root.scope.flat.get(root.node) as FlatNode, output: root.output };
  }

  #close({ scope, node }: NodeOutput, inputs: readonly FlatValue[]): void {
    if (this.order.length === MAX_NODES) throw this.#malformed(`has more than ${MAX_NODES} nodes`);
    let name = node.name;
    if (this.#names.has(name)) name = `${scope.path}${node.name}`;
    for (let n = 1; this.#names.has(name); n++) name = `${scope.path}${node.name}_${n}`;
    this.#names.add(name);
    const flat: FlatNode = { name, op: node.op, attributes: node.attributes, inputs };
    scope.flat.set(node, flat);
    this.order.push(flat);
  }

  #body(scope: Scope, call: TfNode): Scope {
    const known = scope.bodies.get(call);
    if (known !== undefined) return known;
    const name = call.attributes.functionName('f');
    const callee = this.#graph.functions.get(name);
    const path = `${scope.path}${call.name}/`;
    if (callee === undefined) throw this.#malformed(`${path}: there is no function ${name}`);
    if (scope.depth === MAX_CALL_DEPTH)
      throw this.#malformed(`${path}: calls are nested deeper than ${MAX_CALL_DEPTH}`);
    const given = dataInputs(call);
    if (given.length !== callee.inputs.length) {
      throw this.#malformed(`${path}: gives ${given.length} values to ${name}, which takes ${callee.inputs.length}`);
    }
    this.#bodyNodesLeft -= NODES_OF_CALL + callee.nodes.length;
    if (this.#bodyNodesLeft < 0) throw this.#malformed(`${path}: calls open more than ${MAX_BODY_NODES} nodes`);
    const values = new Map(callee.inputs.map((argument, i) => [argument, given[i] as string]));
    const body = this.#scope(callee.nodes, { caller: scope, function: callee, values }, path);
    scope.bodies.set(call, body);
    return body;
  }

  #returned({ call, path }: Scope, index: number): string {
    const name = call?.function.outputs[index];
    const reference = name === undefined ? undefined : call?.function.returns.get(name);
    if (reference === undefined) throw this.#malformed(`${path}: has no output ${index}`);
    return reference;
  }

  #scope(list: readonly TfNode[], call: Scope['call'], path: string): Scope {
    const nodes = new Map<string, TfNode>();
    for (const node of list) {
      if (nodes.has(node.name)) throw this.#malformed(`${path}${node.name}: two nodes have this name`);
      nodes.set(node.name, node);
    }
    return {
      nodes,
      call,
      path,
      depth: (call?.caller.depth ?? -1) + 1,
      flat: new Map(),
      bodies: new Map(),
      resolved: new Map(),
    };
  }

  #malformed(problem: string): MbertError {
    return new MbertError('MALFORMED', `${this.#file}: ${problem}`);
  }
}

/** References of the inputs that carry values: `^name` only orders execution. */
export function dataInputs(node: TfNode): string[] {
  return node.inputs.filter((input) => !input.startsWith('^'));
}

/** Splits `node`, `node:1` and `node:output:1`. */
function parseReference(reference: string): { readonly name: string; readonly output: readonly string[] } {
  const [name = '', ...output] = reference.split(':');
  return { name, output };
}

function outputIndex(node: TfNode, output: readonly string[]): number {
  const index = Number(output.at(-1) ?? 0);
  const first = output.length === 2 ? (lookUp(OUTPUTS, node.op)?.indexOf(output[0] ?? '') ?? 0) : 0;
  return Number.isSafeInteger(index) && index >= 0 ? Math.max(first, 0) + index : 0;
}
