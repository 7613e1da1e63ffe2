import type { GraphModel } from '@tensorflow/tfjs-converter';
import type { DataType, io, NamedTensorMap, Tensor as TfjsTensor } from '@tensorflow/tfjs-core';
import { MbertError } from '../errors.ts';
import type { TfPort } from '../formats/graphdef.ts';
import { parseJson } from '../formats/json.ts';
import { openPart } from '../formats/parts.ts';
import { readTfjsModel, readTfjsText } from '../formats/tfjs.ts';
import { type ModelFile, withFile } from '../io/files.ts';
import { arrayOf, type Tensor, tensorOf } from '../ir/tensor.ts';
import {
  firstLine,
  fitFeeds,
  modelName,
  type Runtime,
  type RuntimeSession,
  type TensorInfo,
  wantedOutputs,
} from './runtime.ts';
import { loadTfjs, TFJS_PACKAGES, type Tfjs } from './tfjs-loader.ts';

type Model = GraphModel<io.IOHandlerSync>;

/** Dtypes of TF.js that have the same numbers here. Its booleans are bytes. */
const DTYPE_OF: { readonly [D in DataType]?: TensorInfo['dtype'] } = { float32: 'f32', int32: 'i32', bool: 'bool' };

/** Most bytes of weights: they are read into one buffer, and WebAssembly's memory ends at 4 GiB. */
const MAX_WEIGHT_BYTES = 2 ** 31;

/** TF.js on its WebAssembly backend: one thread. Ids are not checked against the vocabulary. */
export const tfjs: Runtime = {
  name: 'tfjs',

  async version() {
    return (await loadTfjs()).core.version_core;
  },

  async load(model, options = {}) {
    const name = modelName(model, options);
    if (typeof model !== 'string') {
      throw new MbertError('USAGE', `${name}: a TF.js model has weights in files beside it: give its path`);
    }
    const runtime = await loadInstalled(name);
    const { artifacts, inputs, outputs } = withFile(model, readArtifacts);
    let graph: Model;
    try {
      graph = runtime.converter.loadGraphModelSync({ load: () => artifacts });
    } catch (cause) {
      throw new MbertError('MALFORMED', `${name}: TF.js refuses it: ${firstLine(cause)}`, { cause });
    }
    refuseUnknownOps(runtime, graph, name);
    return openSession(runtime, graph, name, inputs, outputs);
  },
};

/** Length of the sequence on which a model is tried. */
const TRIED_LENGTH = 8;

/**
 * Throws UNSUPPORTED for a model with an op that TF.js does not have. It says so only when the op runs, which is too late
 * for running something else instead.
 */
function refuseUnknownOps({ core }: Tfjs, graph: Model, name: string): void {
  const feeds: NamedTensorMap = {};
  for (const { name: input, shape = [], dtype } of graph.inputs) {
    const sizes = shape.map((dim, axis) => (dim < 0 ? (axis === 0 ? 1 : TRIED_LENGTH) : dim));
    feeds[input] = core.zeros(sizes, dtype === 'int32' || dtype === 'bool' ? dtype : 'float32');
  }
  let results: TfjsTensor | TfjsTensor[] = [];
  try {
    results = graph.execute(
      feeds,
      graph.outputs.map((output) => output.name),
    );
  } catch (cause) {
    // Whatever else is wrong with zeros may be right for tokens, and is told when these run.
    const [, op] = /^Unknown op '(\w+)'/.exec(firstLine(cause)) ?? [];
    if (op === undefined) return;
    graph.dispose();
    throw new MbertError('UNSUPPORTED', `${name}: TF.js has no op ${op}`, {
      hint: 'convert the model again with tensorflowjs_converter --strip_debug_ops=True, if it is one that only checks',
      cause,
    });
  } finally {
    core.dispose([...Object.values(feeds), ...[results].flat()]);
  }
}

/** Loads TF.js. Throws UNSUPPORTED where it is not installed: whoever has read the graph can run that instead. */
async function loadInstalled(name: string): Promise<Tfjs> {
  try {
    return await loadTfjs();
  } catch (cause) {
    throw new MbertError('UNSUPPORTED', `${name}: TF.js is not installed`, {
      hint: `npm install ${TFJS_PACKAGES}`,
      cause,
    });
  }
}

/** Reads what TF.js builds a model of: the graph and all weights in one buffer. */
function readArtifacts(file: ModelFile) {
  const text = readTfjsText(file);
  // Checked first: names of files that lead out of the folder, sizes, kinds of models.
  const { groups, inputs, outputs } = readTfjsModel(parseJson(text, file.path), file.path);
  const shards = groups.flatMap(({ paths }) => paths).map((path) => openPart(file, path));
  try {
    const bytes = shards.reduce((sum, { size }) => sum + size, 0);
    if (bytes > MAX_WEIGHT_BYTES) {
      throw new MbertError(
        'UNSUPPORTED',
        `${file.path}: ${bytes} bytes of weights do not fit TF.js' WebAssembly memory`,
      );
    }
    const weightData = new ArrayBuffer(bytes);
    let offset = 0;
    for (const shard of shards) {
      new Uint8Array(weightData, offset, shard.size).set(shard.read(0, shard.size));
      offset += shard.size;
    }
    const { weightsManifest, ...model } = JSON.parse(text) as io.ModelJSON;
    const weightSpecs = weightsManifest.flatMap(({ weights }) => weights);
    return { artifacts: { ...model, weightSpecs, weightData }, inputs, outputs };
  } finally {
    for (const shard of shards) shard.close();
  }
}

function openSession(
  runtime: Tfjs,
  graph: Model,
  name: string,
  inputPorts: readonly TfPort[],
  outputPorts: readonly TfPort[],
): RuntimeSession {
  const inputs = describe(graph.inputs, inputPorts, name);
  const outputs = describe(graph.outputs, outputPorts, name);
  const values = new Map([...inputPorts, ...outputPorts].map((port) => [port.name, port.value.replace(/:0$/, '')]));
  let isOpen = true;
  return {
    inputs,
    outputs,
    async run(feeds, wanted) {
      const names = wantedOutputs(name, outputs, wanted);
      const given: NamedTensorMap = {};
      let results: TfjsTensor[] = [];
      try {
        for (const [input, feed] of fitFeeds(name, inputs, feeds))
          given[values.get(input) ?? input] = toTfjs(runtime, feed);
        results = execute(
          graph,
          given,
          names.map((output) => values.get(output) ?? output),
          name,
        );
        const tensors = await Promise.all(results.map((result, i) => fromTfjs(result, name, names[i] as string)));
        return new Map(names.map((output, i) => [output, tensors[i] as Tensor]));
      } finally {
        runtime.core.dispose([...Object.values(given), ...results]);
      }
    },
    async close() {
      if (isOpen) graph.dispose();
      isOpen = false;
    },
  };
}

function execute(graph: Model, given: NamedTensorMap, wanted: string[], name: string): TfjsTensor[] {
  try {
    const results = graph.execute(given, wanted);
    return Array.isArray(results) ? results : [results];
  } catch (cause) {
    throw new MbertError('MISMATCH', `${name}: TF.js cannot run it on these inputs: ${firstLine(cause)}`, { cause });
  }
}

/** Inputs or outputs under the names of the signature; those of the graph's nodes where there is none. */
function describe(infos: Model['inputs'], ports: readonly TfPort[], model: string): TensorInfo[] {
  const nodes = new Map(infos.map((info) => [info.name, info]));
  const named = ports.length > 0 ? ports : infos.map(({ name }) => ({ name, value: name }));
  return named.map(({ name, value }) => {
    const info = nodes.get(value.replace(/:\d+$/, ''));
    const dtype = DTYPE_OF[info?.dtype ?? 'float32'];
    if (dtype === undefined) throw new MbertError('UNSUPPORTED', `${model}: ${name}: is ${info?.dtype}`);
    return { name, dtype, shape: (info?.shape ?? []).map((dim) => (dim < 0 ? '?' : dim)) };
  });
}

function toTfjs({ core }: Tfjs, tensor: Tensor): TfjsTensor {
  const shape = [...tensor.shape];
  if (tensor.dtype === 'i32') return core.tensor(arrayOf({ ...tensor, dtype: 'i32' }), shape, 'int32');
  if (tensor.dtype === 'f32') return core.tensor(arrayOf({ ...tensor, dtype: 'f32' }), shape, 'float32');
  return core.tensor(tensor.bytes(), shape, 'bool');
}

async function fromTfjs(tensor: TfjsTensor, name: string, output: string): Promise<Tensor> {
  const dtype = DTYPE_OF[tensor.dtype];
  if (dtype === undefined) throw new MbertError('UNSUPPORTED', `${name}: output ${output}: is ${tensor.dtype}`);
  return tensorOf(dtype, tensor.shape, await tensor.data<'float32' | 'int32' | 'bool'>());
}
