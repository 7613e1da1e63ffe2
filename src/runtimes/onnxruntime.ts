import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { MbertError } from '../errors.ts';
import { openFile } from '../io/files.ts';
import { arrayOf, type DType, type Tensor } from '../ir/tensor.ts';
import {
  firstLine,
  fitFeeds,
  importOptional,
  type LoadOptions,
  modelName,
  type Runtime,
  type RuntimeSession,
  type TensorInfo,
  wantedOutputs,
} from './runtime.ts';

type Ort = typeof import('onnxruntime-node');

const DTYPE_OF: ReadonlyMap<string, DType> = new Map([
  ['float64', 'f64'],
  ['float32', 'f32'],
  ['float16', 'f16'],
  ['int64', 'i64'],
  ['uint64', 'u64'],
  ['int32', 'i32'],
  ['uint32', 'u32'],
  ['int16', 'i16'],
  ['uint16', 'u16'],
  ['int8', 'i8'],
  ['uint8', 'u8'],
  ['bool', 'bool'],
]);
const TYPE_OF = new Map([...DTYPE_OF].map(([type, dtype]) => [dtype, type as OrtTensor.Type]));

/** ONNX Runtime in native code, on the CPU. */
export const onnxruntime: Runtime = {
  name: 'onnxruntime',

  async version() {
    const { env } = await importOrt();
    return env.versions.node ?? env.versions.common;
  },

  async load(model, options = {}) {
    const ort = await importOrt();
    const name = modelName(model, options);
    // The runtime's own message for a file that is not there blames the protobuf.
    if (typeof model === 'string') openFile(model).close();
    const session = await createSession(ort, model, name, sessionOptions(options));
    try {
      return openSession(ort, session, name, options);
    } catch (error) {
      await session.release();
      throw error;
    }
  },
};

/**
 * Environment variable by which ONNX Runtime 1.30 leaves its telemetry off. It is read once, when the library is loaded;
 * without it, usage events are queued in the home folder for upload and logs are left in the folder for temporary files.
 */
const NO_TELEMETRY = 'ORT_DISABLE_TELEMETRY';

function importOrt(): Promise<Ort> {
  process.env[NO_TELEMETRY] ??= '1';
  return importOptional('onnxruntime-node', () => import('onnxruntime-node'));
}

function sessionOptions({
  threads,
  spinning = true,
  prepacking = true,
  optimizedModelPath,
  graphOptimization = true,
  profilePath,
}: LoadOptions): InferenceSession.SessionOptions {
  return {
    executionProviders: ['cpu'],
    graphOptimizationLevel: graphOptimization ? 'all' : 'disabled',
    // Only fatal ones: what goes wrong is thrown as well, and the log would print it a second time.
    logSeverityLevel: 4,
    ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
    extra: {
      session: {
        ...(spinning ? {} : { intra_op: { allow_spinning: '0' } }),
        ...(prepacking ? {} : { disable_prepacking: '1' }),
      },
    },
    ...(optimizedModelPath === undefined ? {} : { optimizedModelFilePath: optimizedModelPath }),
    ...(profilePath === undefined ? {} : { enableProfiling: true, profileFilePrefix: profilePath }),
  };
}

async function createSession(
  ort: Ort,
  model: string | Uint8Array,
  name: string,
  options: InferenceSession.SessionOptions,
): Promise<InferenceSession> {
  try {
    return await (typeof model === 'string'
      ? ort.InferenceSession.create(model, options)
      : ort.InferenceSession.create(model, options));
  } catch (cause) {
    throw new MbertError('MALFORMED', `${name}: ONNX Runtime refuses it: ${firstLine(cause)}`, { cause });
  }
}

function openSession(ort: Ort, session: InferenceSession, name: string, { profilePath }: LoadOptions): RuntimeSession {
  const inputs = session.inputMetadata.map((input) => describe(input, name, 'input'));
  const outputs = session.outputMetadata.map((output) => describe(output, name, 'output'));
  let isOpen = true;
  return {
    inputs,
    outputs,
    async run(feeds, wanted) {
      const names = wantedOutputs(name, outputs, wanted);
      const ortFeeds: Record<string, OrtTensor> = {};
      for (const [input, feed] of fitFeeds(name, inputs, feeds)) ortFeeds[input] = toOrt(ort, feed);
      const results = await runSession(session, name, ortFeeds, names);
      return new Map(names.map((output) => [output, fromOrt(results[output], name, output)]));
    },
    async close() {
      if (!isOpen) return;
      isOpen = false;
      if (profilePath !== undefined) session.endProfiling();
      await session.release();
    },
  };
}

/** Runs a session, which fails for ids outside the vocabulary and for shapes that only show at run time. */
async function runSession(
  session: InferenceSession,
  name: string,
  feeds: Record<string, OrtTensor>,
  wanted: readonly string[],
): Promise<InferenceSession.ReturnType> {
  try {
    return await session.run(feeds, wanted);
  } catch (cause) {
    throw new MbertError('MISMATCH', `${name}: ONNX Runtime cannot run it on these inputs: ${firstLine(cause)}`, {
      cause,
    });
  }
}

function describe(value: InferenceSession.ValueMetadata, name: string, kind: string): TensorInfo {
  const dtype = value.isTensor ? DTYPE_OF.get(value.type) : undefined;
  if (!value.isTensor || dtype === undefined) {
    const type = value.isTensor ? value.type : 'no tensor';
    throw new MbertError('UNSUPPORTED', `${name}: ${kind} ${value.name}: is ${type}`);
  }
  // A dimension without a name comes as an empty string.
  return { name: value.name, dtype, shape: value.shape.map((dim) => (dim === '' ? '?' : dim)) };
}

function toOrt(ort: Ort, tensor: Tensor): OrtTensor {
  const type = TYPE_OF.get(tensor.dtype);
  if (type === undefined) throw new MbertError('UNSUPPORTED', `ONNX Runtime takes no ${tensor.dtype} input`);
  return new ort.Tensor(type, arrayOf(tensor), tensor.shape);
}

function fromOrt(tensor: OrtTensor | undefined, name: string, output: string): Tensor {
  const dtype = tensor && DTYPE_OF.get(tensor.type);
  if (tensor === undefined || dtype === undefined) {
    throw new MbertError('UNSUPPORTED', `${name}: output ${output}: is ${tensor?.type ?? 'absent'}`);
  }
  const { buffer, byteOffset, byteLength } = tensor.data as Exclude<OrtTensor.DataType, string[]>;
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  return { dtype, shape: tensor.dims, bytes: () => bytes };
}
