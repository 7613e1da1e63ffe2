import type { CompiledModel, Tensor as LiteRtTensor } from '@litertjs/core';
import { MbertError } from '../errors.ts';
import { withFile } from '../io/files.ts';
import { arrayOf, type Tensor } from '../ir/tensor.ts';
import { type LiteRt, loadLiteRt } from './litert-loader.ts';
import { holdMemory, refuseFullMemory } from './litert-memory.ts';
import {
  firstLine,
  fitFeeds,
  modelName,
  type Runtime,
  type RuntimeSession,
  type TensorInfo,
  wantedOutputs,
} from './runtime.ts';

/** Dtypes that @litertjs/core has tensors for. It refuses int8, int64 and others when a model is loaded. */
const DTYPE_OF = { float32: 'f32', int32: 'i32', uint8: 'u8' } as const;

/** Largest file that is read at all: half of the WebAssembly's memory, as weights are packed beside the file. */
const MAX_MODEL_BYTES = 2 ** 30;

/**
 * LiteRT with XNNPACK in WebAssembly: one thread, fixed shapes. Ids are not checked against the vocabulary: the runtime
 * reads whatever lies there.
 */
export const litert: Runtime = {
  name: 'litert',

  async version() {
    return (await loadLiteRt()).version;
  },

  async load(model, options = {}) {
    const runtime = await loadLiteRt();
    const name = modelName(model, options);
    const bytes = typeof model === 'string' ? readModel(model) : model;
    const memory = holdMemory(bytes, name);
    let compiled: CompiledModel | undefined;
    try {
      compiled = await compile(runtime, bytes, name);
      refuseFullMemory(runtime.memoryBytes(), name);
      return openSession(runtime, compiled, name, memory);
    } catch (error) {
      compiled?.delete();
      memory.release();
      throw error;
    }
  },
};

function readModel(path: string): Uint8Array {
  return withFile(path, (file) => {
    if (file.size > MAX_MODEL_BYTES) {
      throw new MbertError('UNSUPPORTED', `${path}: ${file.size} bytes do not fit LiteRT's WebAssembly memory`, {
        hint: 'run the file in LiteRT on a device; an ONNX file of the model can be run here',
      });
    }
    return file.read(0, file.size);
  });
}

async function compile(runtime: LiteRt, bytes: Uint8Array, name: string): Promise<CompiledModel> {
  try {
    return await runtime.module.loadAndCompile(bytes, { accelerator: 'wasm' });
  } catch (cause) {
    const message = complaint(cause);
    const isUnsupported = message.startsWith('Element type');
    throw new MbertError(isUnsupported ? 'UNSUPPORTED' : 'MALFORMED', `${name}: LiteRT refuses it: ${message}`, {
      cause,
    });
  }
}

/** The words of an error that matter: LiteRT's native ones are a trace of source positions, whose last line tells. */
function complaint(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  if (!message.startsWith('ERROR: [')) return firstLine(cause);
  return (
    message
      .trim()
      .split('\n')
      .at(-1)
      ?.replace(/^.*\] ?/, '') ?? ''
  );
}

function openSession(
  runtime: LiteRt,
  compiled: CompiledModel,
  name: string,
  memory: { release(): void },
): RuntimeSession {
  const inputs = compiled.getInputDetails().map(describe);
  const outputs = compiled.getOutputDetails().map(describe);
  for (const { name: input, shape } of inputs) {
    if (shape.every((dim) => dim !== '?')) continue;
    throw new MbertError(
      'UNSUPPORTED',
      `${name}: input ${input}: LiteRT runs fixed shapes only here, this is [${shape.join(', ')}]`,
      {
        hint: 'convert it once more with --sequence-length N and run that file',
      },
    );
  }
  return {
    inputs,
    outputs,
    async run(feeds, wanted) {
      const names = wantedOutputs(name, outputs, wanted);
      const given: Record<string, LiteRtTensor> = {};
      try {
        for (const [input, feed] of fitFeeds(name, inputs, feeds)) given[input] = toLiteRt(runtime, feed);
        const results = await runModel(compiled, name, given, names);
        refuseFullMemory(runtime.memoryBytes(), name);
        return results;
      } finally {
        for (const tensor of Object.values(given)) tensor.delete();
      }
    },
    async close() {
      compiled.delete();
      memory.release();
    },
  };
}

/** Runs a model. Every output is taken out of WebAssembly's memory, which nothing else would free. */
async function runModel(
  compiled: CompiledModel,
  name: string,
  given: Record<string, LiteRtTensor>,
  wanted: readonly string[],
): Promise<Map<string, Tensor>> {
  let results: Record<string, LiteRtTensor>;
  try {
    results = await compiled.run(given);
  } catch (cause) {
    throw new MbertError('MISMATCH', `${name}: LiteRT cannot run it on these inputs: ${complaint(cause)}`, { cause });
  }
  try {
    return new Map(wanted.map((output) => [output, fromLiteRt(results[output], name, output)]));
  } finally {
    for (const tensor of Object.values(results)) tensor.delete();
  }
}

function describe(details: ReturnType<CompiledModel['getInputDetails']>[number]): TensorInfo {
  // A dimension of -1 is dynamic.
  const shape = Array.from(details.shape, (dim) => (dim < 0 ? '?' : dim));
  return { name: details.name, dtype: DTYPE_OF[details.dtype], shape };
}

function toLiteRt({ module }: LiteRt, tensor: Tensor): LiteRtTensor {
  return new module.Tensor(arrayOf(tensor as Tensor & { dtype: 'f32' | 'i32' | 'u8' }), [...tensor.shape]);
}

function fromLiteRt(tensor: LiteRtTensor | undefined, name: string, output: string): Tensor {
  if (tensor === undefined) throw new MbertError('MALFORMED', `${name}: output ${output}: LiteRT returned none`);
  // A copy already, so it outlives the tensor.
  const { buffer, byteOffset, byteLength } = tensor.toTypedArray();
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  return { dtype: DTYPE_OF[tensor.type.dtype], shape: Array.from(tensor.type.layout.dimensions), bytes: () => bytes };
}
