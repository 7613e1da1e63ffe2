import type { Graph, Node } from '../../ir/graph.ts';
import { nodesByName } from '../../ir/nodes-by-name.ts';
import { readF32, type Tensor } from '../../ir/tensor.ts';
import { type EmbeddingAgreement, EmbeddingComparison } from '../../metrics/embeddings.ts';
import { ErrorSums } from '../../metrics/error-sums.ts';
import { layerEnds } from '../../opened/layer-ends.ts';
import type { TokenRow } from '../../samples/feeds.ts';
import type { AgreementOf } from './agreement.ts';
import { Comparison } from './answers.ts';
import { dropOf } from './drop.ts';
import { type FeedOptions, type LoadedModel, loadModel } from './loaded-model.ts';

/** Accuracy of a quantized model beside the float one, measured in the runtime that will run it. */
export interface Proof {
  /** Runtime of the quantized model, as `onnxruntime 1.30.0`. */
  readonly runtime: string;
  readonly samples: number;
  /** Signal to quantization noise in dB over all outputs of valid tokens: 10·log10(Σ answer² / Σ error²). */
  readonly sqnrDb: number;
  /** The share of equal answers, 0 … 1: class, span, token class or word; else what `agreementOf` says. NaN where it cannot be told. */
  readonly agreement: number;
  /** The measure of `agreement`: the share of equal answers, the mean cosine of vectors, or the correlation of numbers. */
  readonly agreementOf: AgreementOf;
  /** The share of right answers, 0 … 1; undefined without labels. */
  readonly accuracy: { readonly float: number; readonly quantized: number } | undefined;
  /** Agreement of sentence embeddings; undefined for models that give none. */
  readonly embeddings?: EmbeddingAgreement;
  /** Loss that --max-drop limits, in percentage points: see `dropOf`. */
  readonly drop: number;
  readonly layers: readonly LayerProof[];
}

/** Error of the hidden state at the end of one layer. */
export interface LayerProof {
  readonly name: string;
  readonly sqnrDb: number;
}

export interface ProofOptions extends FeedOptions {
  readonly rows: readonly TokenRow[];
  readonly labels: readonly number[] | undefined;
  readonly progress: (done: number, total: number) => void;
}

/** Runs both files on held-out rows and compares their answers. */
export async function compareFiles(
  floatPath: string,
  quantizedPath: string,
  graph: Graph,
  options: ProofOptions,
): Promise<Omit<Proof, 'layers'>> {
  const float = await loadModel(floatPath, graph, options);
  const quantized = await loadModel(quantizedPath, graph, options).catch(async (cause: unknown) => {
    await float.close();
    throw cause;
  });
  try {
    return await compareModels(float, quantized, options);
  } finally {
    await float.close();
    await quantized.close();
  }
}

async function compareModels(
  float: LoadedModel,
  quantized: LoadedModel,
  { rows, labels, task, progress }: ProofOptions,
): Promise<Omit<Proof, 'layers'>> {
  const comparison = new Comparison();
  const pairs = task === 'sentence-embedding' ? new EmbeddingComparison() : undefined;
  let floatRight = 0;
  let quantizedRight = 0;
  for (const [i, row] of rows.entries()) {
    const [expected, actual] = await Promise.all([float.answer(row), quantized.answer(row)]);
    comparison.add(expected, actual);
    pairs?.add(expected.values, actual.values);
    if (labels) {
      if (expected.choices[0] === labels[i]) floatRight++;
      if (actual.choices[0] === labels[i]) quantizedRight++;
    }
    progress(i + 1, rows.length);
  }
  const { sqnrDb, agreement, agreementOf } = comparison;
  const accuracy = labels && { float: floatRight / rows.length, quantized: quantizedRight / rows.length };
  const embeddings = pairs?.result();
  const drop = dropOf({ agreement, accuracy: accuracy && [accuracy.float, accuracy.quantized], embeddings });
  const found = { runtime: quantized.runtime, samples: rows.length, sqnrDb, agreement, agreementOf, accuracy, drop };
  return embeddings === undefined ? found : { ...found, embeddings };
}

/** Rows that the hidden states are compared on: few, as they have hundreds of values a token. */
const LAYER_ROWS = 8;

/** The two graphs whose layers are compared, and how their files are written. */
export interface LayerSource {
  readonly float: Graph;
  readonly quantized: Graph;
  write(graph: Graph): Promise<string>;
}

/** Measures the error of each layer's hidden state against the float model's, on a few rows. */
export async function compareLayers(source: LayerSource, options: ProofOptions): Promise<LayerProof[]> {
  const layers = layersOf(source.float, source.quantized);
  if (layers.length === 0) return [];
  const paths = [await writeLayers(source, 'float', layers), await writeLayers(source, 'quantized', layers)];
  const models: LoadedModel[] = [];
  try {
    for (const path of paths) models.push(await loadModel(path, source.float, options));
    const sums = layers.map(() => new ErrorSums());
    for (const row of options.rows.slice(0, LAYER_ROWS)) {
      const [expected, actual] = await Promise.all(models.map((model) => model.outputs(row)));
      layers.forEach((name, i) => {
        add(sums[i] as ErrorSums, expected?.get(name), actual?.get(name), row);
      });
    }
    return layers.map((name, i) => ({ name, sqnrDb: sums[i]?.sqnrDb ?? Number.NaN }));
  } finally {
    for (const model of models) await model.close();
  }
}

/** Names of the nodes that end a layer and are in both graphs, in order. */
function layersOf(float: Graph, quantized: Graph): string[] {
  const both = new Set(quantized.nodes().map(({ name }) => name));
  return layerEnds(float.nodes().filter(({ name }) => both.has(name))).map(({ name }) => name);
}

function writeLayers(source: LayerSource, which: 'float' | 'quantized', layers: readonly string[]): Promise<string> {
  const graph = source[which];
  const byName = nodesByName(graph);
  const outputs = layers.map((name) => {
    const node = byName.get(name) as Node;
    return { name, node: node.type.quant ? graph.add('dequantize', [node]) : node };
  });
  return source.write(graph.withOutputs(outputs));
}

/**
 * Adds the errors of a row's tokens; the padding behind them is left out. A last layer may have fewer tokens than the
 * text: those that the answers need.
 */
function add(sum: ErrorSums, expected: Tensor | undefined, actual: Tensor | undefined, row: TokenRow): void {
  if (!expected || !actual) return;
  const values = readF32(expected);
  const count = Math.min(values.length, row.inputIds.length * (expected.shape.at(-1) as number));
  sum.add(values, readF32(actual), 0, count);
}
