import { type Attrs, invalid, nameInputs } from './op.ts';
import { type AttrsOf, type OpName, opDef } from './ops/index.ts';
import { realType } from './quantized.ts';
import type { Quant, Tensor, TensorType } from './tensor.ts';

/**
 * Properties of every node: a name that is unique in the graph, the type of its value, the nodes it reads and those
 * that read it.
 */
interface NodeBase {
  readonly name: string;
  readonly type: TensorType;
  readonly inputs: readonly Node[];
  readonly users: ReadonlySet<Node>;
}
/** A value that is given at run time. */
export type Input = NodeBase & { readonly op: 'input' };
/** A value that is stored in the model. */
export type Constant = NodeBase & { readonly op: 'constant'; readonly tensor: Tensor };
/** A value that an op computes; `op` narrows `attrs` to those of the op. */
export type Call<O extends OpName = OpName> = {
  [K in O]: NodeBase & { readonly op: K; readonly attrs: AttrsOf<K> };
}[O];

/** A node is the one value it computes, so there is no separate Value type. */
export type Node = Input | Constant | Call;

/** A value that the model returns, under a name of its own. */
export interface Output {
  readonly name: string;
  readonly node: Node;
}

/** Fields of a node that only this file may change. */
interface Mutable {
  name: string;
  type: TensorType;
  inputs: Node[];
  users: Set<Node>;
}

/** A model as inputs, outputs and the nodes that the outputs reach: there is no list of nodes to keep. */
export class Graph {
  readonly name: string;
  readonly #inputs: Input[] = [];
  readonly #outputs: { name: string; node: Node }[] = [];
  readonly #names = new Map<string, Node>();
  readonly #counts = new Map<string, number>();
  /** Graph whose nodes this one shows under other outputs. */
  #viewed: Graph | undefined;
  #changes = 0;
  #order: { readonly version: number; readonly nodes: readonly Node[] } = { version: -1, nodes: [] };

  constructor(name = 'model') {
    this.name = name;
  }

  get inputs(): readonly Input[] {
    return this.#inputs;
  }

  get outputs(): readonly Output[] {
    return this.#outputs;
  }

  /** Number that is another one after each change of nodes, types or outputs. */
  get version(): number {
    return this.#changes + (this.#viewed?.version ?? 0);
  }

  /** Adds an input, whose shape may hold symbols. */
  input(name: string, type: TensorType): Input {
    const node = this.#node<Input>({ op: 'input', type, inputs: [] }, name);
    this.#inputs.push(node);
    return node;
  }

  /** Takes an input away. Throws INVALID_GRAPH where something still reads it. */
  removeInput(input: Input): void {
    const [user] = input.users;
    if (user !== undefined) invalid(`input ${input.name} is read by ${user.name}`);
    const place = this.#inputs.indexOf(input);
    if (place < 0) invalid(`there is no input ${input.name}`);
    this.#inputs.splice(place, 1);
    this.#names.delete(input.name);
  }

  /** Adds a constant; with `quant` the tensor holds the stored integers. */
  constant(tensor: Tensor, name?: string, quant?: Quant): Constant {
    return this.#node<Constant>(
      {
        op: 'constant',
        tensor,
        type: { dtype: tensor.dtype, shape: tensor.shape, ...(quant && { quant }) },
        inputs: [],
      },
      name,
    );
  }

  /**
   * Adds a node and infers its type. A name that another node holds passes to the new node; the old one gets a suffix.
   * Throws INVALID_GRAPH where the inputs or attributes do not fit the op.
   */
  add<O extends OpName>(op: O, inputs: readonly Node[], attrs: Partial<AttrsOf<O>> = {}, name?: string): Call<O> {
    const def = opDef(op);
    const all: Attrs = { ...def.attrs, ...(attrs as Attrs) };
    const what = name ?? op;
    let type: TensorType;
    try {
      type = def.infer(
        nameInputs(
          def,
          inputs.map((input) => realType(input.type)),
          what,
        ),
        all,
      );
    } catch (cause) {
      if (!(cause instanceof Error)) throw cause;
      cause.message = name === undefined ? cause.message : `${name}: ${cause.message}`;
      throw cause;
    }
    const node: Node = this.#node({ op, attrs: all, type, inputs: [...inputs] } as unknown as Call, name);
    for (const input of inputs) mutable(input).users.add(node);
    return node as unknown as Call<O>;
  }

  /** Makes a node an output. Throws INVALID_GRAPH for a name that another output has. */
  output(name: string, node: Node): void {
    if (this.#outputs.some((output) => output.name === name)) invalid(`output ${name} exists already`);
    this.#outputs.push({ name, node });
    this.#changes++;
  }

  /** True for a node that is itself an output: its value has to stay, whoever else reads it. */
  isOutput(node: Node): boolean {
    return this.#outputs.some((output) => output.node === node);
  }

  /** Puts the outputs into the order of `names`, which must name all of them. */
  orderOutputs(names: readonly string[]): void {
    this.#outputs.sort((a, b) => names.indexOf(a.name) - names.indexOf(b.name));
    this.#changes++;
  }

  /** Leaves only these outputs, in the order of `names`, and drops what the others alone needed. */
  keepOutputs(names: readonly string[]): void {
    const kept = names.map(
      (name) => this.#outputs.find((output) => output.name === name) ?? invalid(`there is no output ${name}`),
    );
    this.#outputs.splice(0, this.#outputs.length, ...kept);
    this.#changes++;
    this.prune();
  }

  /** Puts `node`, under the name `to`, in the place of the output `from`. */
  replaceOutput(from: string, to: string, node: Node): void {
    const output = this.#outputs.find(({ name }) => name === from) ?? invalid(`there is no output ${from}`);
    output.name = to;
    output.node = node;
    this.#changes++;
  }

  /** A view of the same nodes with other outputs, for exporters and other readers: passes must not run on it. */
  withOutputs(outputs: readonly Output[]): Graph {
    const view = new Graph(this.name);
    view.#viewed = this;
    view.#inputs.push(...this.#inputs);
    view.#outputs.push(...outputs);
    return view;
  }

  /**
   * Redirects every present use of `old` to what `make` builds, then drops what only `old` kept alive. Uses are listed
   * before `make` runs, so the new node may itself consume `old`. Null from `make` changes nothing. Returns whether
   * anything was replaced.
   */
  replace(old: Node, make: () => Node | null): boolean {
    const users = [...old.users];
    const replacement = make();
    if (replacement === null || replacement === old) return false;
    for (const user of users) {
      const { inputs } = mutable(user);
      for (let i = 0; i < inputs.length; i++) if (inputs[i] === old) inputs[i] = replacement;
      mutable(replacement).users.add(user);
      mutable(old).users.delete(user);
    }
    for (const output of this.#outputs) if (output.node === old) output.node = replacement;
    this.#drop(old);
    this.#changes++;
    return true;
  }

  /** Changes how a value is stored, for quantization; what it stands for stays the same. */
  setType(node: Node, type: TensorType): void {
    mutable(node).type = type;
    this.#changes++;
  }

  /** The nodes that the outputs reach, inputs before users, in a stable order. */
  nodes(): Node[] {
    // Passes that change nothing ask again and again.
    if (this.#order.version !== this.version) this.#order = { version: this.version, nodes: this.#sorted() };
    return this.#order.nodes.slice();
  }

  #sorted(): Node[] {
    const order: Node[] = [];
    const seen = new Set<Node>();
    // An explicit stack: recursion ends at some thousand nodes in a chain.
    const stack: { node: Node; next: number }[] = [];
    for (const { node: root } of this.#outputs) {
      if (!seen.has(root)) {
        seen.add(root);
        stack.push({ node: root, next: 0 });
      }
      for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
        const input = top.node.inputs[top.next++];
        if (input === undefined) {
          order.push(top.node);
          stack.pop();
        } else if (!seen.has(input)) {
          seen.add(input);
          stack.push({ node: input, next: 0 });
        }
      }
    }
    return order;
  }

  /** Forgets nodes that were built but never used, so that user sets hold live nodes only. */
  prune(): void {
    const live = new Set(this.nodes());
    for (const node of live) {
      for (const user of node.users) if (!live.has(user)) mutable(node).users.delete(user);
    }
    for (const input of this.#inputs) {
      for (const user of input.users) if (!live.has(user)) mutable(input).users.delete(user);
      live.add(input);
    }
    for (const [name, node] of this.#names) if (!live.has(node)) this.#names.delete(name);
  }

  #node<N extends Node>(parts: Omit<N, 'name' | 'users'>, name: string | undefined): N {
    this.#changes++;
    const node = { ...parts, name: '', users: new Set<Node>() } as unknown as N;
    if (name === undefined) this.#rename(node, this.#freeName(node.op === 'constant' ? 'const' : node.op));
    else {
      const holder = this.#names.get(name);
      this.#rename(node, name);
      if (holder) this.#rename(holder, this.#freeName(name));
    }
    return node;
  }

  #rename(node: Node, name: string): void {
    mutable(node).name = name;
    this.#names.set(name, node);
  }

  #freeName(stem: string): string {
    for (let n = this.#counts.get(stem) ?? 0; ; n++) {
      const name = `${stem}_${n}`;
      if (this.#names.has(name)) continue;
      this.#counts.set(stem, n + 1);
      return name;
    }
  }

  #drop(root: Node): void {
    const outputs = new Set(this.#outputs.map(({ node }) => node));
    const stack = [root];
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      if (node.users.size > 0 || node.op === 'input' || outputs.has(node)) continue;
      if (this.#names.get(node.name) === node) this.#names.delete(node.name);
      for (const input of node.inputs) if (mutable(input).users.delete(node)) stack.push(input);
    }
  }
}

function mutable(node: Node): Mutable {
  return node as unknown as Mutable;
}
