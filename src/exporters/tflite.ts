import { MbertError } from '../errors.ts';
import { encodeTflite } from '../formats/tflite/file.ts';
import type { Metadata } from '../formats/tflite/generated/model.ts';
import type { Draft } from '../formats/tflite/table.ts';
import type { OutputFile } from '../io/files.ts';
import type { Graph } from '../ir/graph.ts';
import type { Exporter } from './exporter.ts';
import { TfliteBuilder } from './tflite/builder.ts';
import { lower } from './tflite/lowerings.ts';
import { describeTensors, type TfliteMetadata } from './tflite/metadata.ts';
import { reshape } from './tflite/shapes.ts';

export interface TfliteOptions {
  /** Name of the file. */
  readonly name: string;
  /** Storage of weights; the arithmetic is f32 either way. */
  readonly dtype: 'f32' | 'f16';
  /** Oldest TensorFlow Lite release that must run the file, e.g. `2.3`: what it does not know is refused. */
  readonly minRuntime?: string;
  readonly metadata?: TfliteMetadata;
}

/** Signature that Task Library asks for, and so do the converters of TensorFlow. */
const SIGNATURE = 'serving_default';
/** Size of `min_runtime_version`: TFLite's readers want exactly 16 bytes, padded with zeros. */
const RUNTIME_BYTES = 16;

/**
 * Writes TFLite with builtin operators only. Throws UNSUPPORTED for ops without a lowering, for i64 inputs, for two
 * run-time sizes in one shape, for models of 2 GiB and for operators newer than `minRuntime`.
 */
export const tflite: Exporter<TfliteOptions> = {
  name: 'tflite',
  defaults: { name: 'model.tflite', dtype: 'f32' },
  async *write(graph, options) {
    yield { name: options.name, ...encodeGraph(graph, options) };
  },
};

function encodeGraph(graph: Graph, { dtype, minRuntime, metadata = {} }: TfliteOptions): Omit<OutputFile, 'name'> {
  if (minRuntime !== undefined && !/^\d+(\.\d+){0,2}$/.test(minRuntime)) {
    throw new MbertError('USAGE', `--min-runtime: "${minRuntime}" is no release such as 2.17`);
  }
  const out = new TfliteBuilder(graph, dtype, minRuntime);
  for (const node of graph.nodes()) lower(node, out);
  const inputs = graph.inputs.map((input) => ({ name: input.name, tensorIndex: out.value(input) }));
  const outputs = outputTensors(graph, out);
  const { entries, files } = describe(graph, metadata, out);
  return encodeTflite({
    model: {
      version: 3,
      description: metadata.description ?? graph.name,
      operatorCodes: out.operatorCodes,
      subgraphs: [
        {
          name: 'main',
          tensors: out.tensors,
          inputs: inputs.map(({ tensorIndex }) => tensorIndex),
          outputs: outputs.map(({ tensorIndex }) => tensorIndex),
          operators: out.operators,
        },
      ],
      metadata: entries,
      signatureDefs: [{ signatureKey: SIGNATURE, inputs, outputs, subgraphIndex: 0 }],
    },
    contents: out.contents,
    files,
  });
}

/**
 * Gives each output a computed tensor: inputs, constants and values that are outputs already are copied by a RESHAPE.
 */
function outputTensors(graph: Graph, out: TfliteBuilder): { name: string; tensorIndex: number }[] {
  const used = new Set<number>(graph.inputs.map((input) => out.value(input)));
  return graph.outputs.map(({ name, node }) => {
    let tensorIndex = out.value(node);
    if (used.has(tensorIndex) || node.op === 'constant') {
      tensorIndex = reshape(out, tensorIndex, { name, type: node.type });
    }
    used.add(tensorIndex);
    return { name, tensorIndex };
  });
}

function describe(graph: Graph, metadata: TfliteMetadata, out: TfliteBuilder) {
  const tensors = describeTensors(graph, metadata);
  const runtime = new Uint8Array(RUNTIME_BYTES);
  new TextEncoder().encodeInto(out.runtime, runtime);
  const entries: Draft<Metadata>[] = [
    { name: 'min_runtime_version', buffer: out.bytes(runtime) },
    { name: 'TFLITE_METADATA', buffer: out.bytes(tensors.bytes) },
  ];
  if (metadata.properties !== undefined) {
    const json = new TextEncoder().encode(JSON.stringify(metadata.properties));
    entries.push({ name: 'mbert', buffer: out.bytes(json) });
  }
  return { entries, files: tensors.files };
}
