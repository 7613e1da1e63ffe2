import { MbertError } from '../../../errors.ts';
import type { Graph, Node } from '../../../ir/graph.ts';
import { nodesByName } from '../../../ir/nodes-by-name.ts';
import { readF32, tensorOf } from '../../../ir/tensor.ts';
import type { BatchValues, TextMatrix, TextRuns } from '../../../ir/text-runs.ts';
import { constantLinear } from '../../../passes/attention.ts';
import { Prefix } from '../../../passes/fit/prefix.ts';
import { columnsOf } from '../../../solve/rows.ts';
import type { Selection } from '../cut-checkpoint.ts';
import type { TeacherEmbeddings } from './fit-embeddings.ts';
import type { LayerTargets } from './fit-layer.ts';
import { resizeHeads } from './head-sizes.ts';
import type { MobileBertSizes } from './shape.ts';

/** What is asked of a teacher. */
export interface TeacherOptions {
  readonly sizes: MobileBertSizes;
  readonly selection: Selection;
  /** Channels of one of its heads. */
  readonly headSize: number;
  readonly runs: TextRuns;
}

/** What the teacher computes on the text, in the student's sizes. */
export class TeacherValues {
  readonly #options: TeacherOptions;
  readonly #prefix: Prefix;
  readonly #nodes: ReadonlyMap<string, Node>;

  constructor(graph: Graph, options: TeacherOptions) {
    this.#options = options;
    this.#prefix = new Prefix(graph, options.runs);
    this.#nodes = nodesByName(graph);
  }

  /** The node of a name, which a whole model has behind `bert.`. */
  node(name: string): Node {
    const node = this.#nodes.get(`bert.${name}`) ?? this.#nodes.get(name);
    if (node === undefined) throw new MbertError('INVALID_GRAPH', `${name}: the teacher has no such node`);
    return node;
  }

  /** Its tables and their norm. */
  embeddings(): TeacherEmbeddings {
    const norm = this.node('embeddings.LayerNorm');
    if (norm.op !== 'layerNorm') throw new MbertError('INVALID_GRAPH', `${norm.name}: is no LayerNorm`);
    const constant = (name: string) => {
      const node = this.node(name);
      if (node.op !== 'constant') throw new MbertError('INVALID_GRAPH', `${name}: is no weight`);
      return node.tensor;
    };
    return {
      words: constant('embeddings.word_embeddings.weight'),
      positions: constant('embeddings.position_embeddings.weight'),
      types: constant('embeddings.token_type_embeddings.weight'),
      gain: readF32(constant('embeddings.LayerNorm.weight')),
      bias: readF32(constant('embeddings.LayerNorm.bias')),
      epsilon: norm.attrs.epsilon,
    };
  }

  async matrix(node: Node): Promise<TextMatrix> {
    const values = await this.#prefix.compute([node]);
    return this.#options.runs.matrixOf(values.get(node) as BatchValues);
  }

  /** The stream that layer `n` of the student reads, as the teacher has it. */
  async before(n: number): Promise<BatchValues> {
    const layer = this.#options.selection.layers[n - 1];
    const node = this.node(layer === undefined ? 'embeddings.LayerNorm' : `encoder.layer.${layer}.output.LayerNorm`);
    const values = (await this.#prefix.compute([node])).get(node) as BatchValues;
    const { hidden } = this.#options.selection;
    if (hidden.length === node.type.shape.at(-1)) return values;
    const batches = values.batches.map((tensor) => {
      const columns = tensor.shape.at(-1) as number;
      const picked = columnsOf({ values: readF32(tensor), rows: readF32(tensor).length / columns, columns }, hidden);
      return tensorOf('f32', [...tensor.shape.slice(0, -1), hidden.length], picked);
    });
    const columns = node.type.shape.at(-1) as number;
    const rows = values.rows && columnsOf({ values: values.rows, rows: values.rows.length / columns, columns }, hidden);
    return { batches, rows };
  }

  /** What a layer of the student is fitted to: the teacher's `layer`. */
  async layer(layer: number): Promise<LayerTargets> {
    const { sizes, selection, headSize, runs } = this.#options;
    const name = `encoder.layer.${layer}`;
    const picked = async (node: Node, channels: Int32Array) => {
      const matrix = await this.matrix(node);
      return { ...matrix, values: columnsOf(matrix, channels), columns: channels.length };
    };
    const heads = selection.heads[layer] as Int32Array;
    const neuronChannels = selection.neurons[layer] as Int32Array;
    const part = (end: string) => this.node(`${name}.${end}`);
    const own = {
      query: await picked(part('attention.self.query'), heads),
      key: await picked(part('attention.self.key'), heads),
      value: await picked(part('attention.self.value'), heads),
    };
    const mixing = weightOf(part('attention.output.dense'));
    const narrowed = await resizeHeads(
      own,
      columnsOf(mixing, heads),
      { heads: sizes.heads, from: headSize, to: sizes.bottleneck / sizes.heads },
      runs,
    );
    const neurons = await picked(part('intermediate.dense'), neuronChannels);
    const writing = weightOf(part('output.dense'));
    const kept = columnsOf(writing, neuronChannels);
    const weights = new Float64Array(neuronChannels.length);
    for (let at = 0; at < kept.length; at++) {
      const c = at % weights.length;
      weights[c] = (weights[c] as number) + (kept[at] as number) ** 2;
    }
    const output = await picked(part('output.LayerNorm'), selection.hidden);
    return { ...narrowed, neurons, weights: weights.map(Math.sqrt), output };
  }
}

function weightOf(node: Node) {
  const linear = constantLinear(node);
  if (!linear) throw new MbertError('INVALID_GRAPH', `${node.name}: is no linear`);
  const [rows = 0, columns = 0] = linear.weight.tensor.shape;
  return { values: readF32(linear.weight.tensor), rows, columns };
}
