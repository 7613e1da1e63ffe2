import { MbertError } from '../errors.ts';
import { hasIdentifier } from '../formats/tflite/decode.ts';
import { modelRoot } from '../formats/tflite/generated/model.ts';
import { withFile } from '../io/files.ts';
import { litert } from './litert.ts';
import { onnxruntime } from './onnxruntime.ts';
import { modelName, type Runtime } from './runtime.ts';
import { tfjs } from './tfjs.ts';

/** Runtimes, each with a test of its models' first bytes. */
const runtimes: readonly { readonly runtime: Runtime; takes(head: Uint8Array): boolean }[] = [
  { runtime: litert, takes: (head) => hasIdentifier(head, modelRoot) },
  { runtime: tfjs, takes: isTfjs },
  { runtime: onnxruntime, takes: isOnnx },
];

const HEAD_BYTES = 64;

/** Finds the runtime for a model by content. Throws UNKNOWN_FORMAT for bytes that none takes. */
export function runtimeFor(model: string | Uint8Array): Runtime {
  const runtime = findRuntime(model);
  if (runtime === undefined) {
    throw new MbertError('UNKNOWN_FORMAT', `${modelName(model, {})}: no runtime takes it`, {
      hint: 'runtimes take .tflite and .onnx files, and the model.json of TF.js; convert others first',
    });
  }
  return runtime;
}

/** The runtime for a model, by content; undefined where none takes it. */
export function findRuntime(model: string | Uint8Array): Runtime | undefined {
  const head = typeof model === 'string' ? readHead(model) : model.subarray(0, HEAD_BYTES);
  return runtimes.find(({ takes }) => takes(head))?.runtime;
}

function readHead(path: string): Uint8Array {
  return withFile(path, (file) => file.read(0, Math.min(HEAD_BYTES, file.size)));
}

/** True for a model.json, in which the converter writes the format first, and before its version 1.2 the topology. */
function isTfjs(head: Uint8Array): boolean {
  return /^\s*\{\s*"(?:format"\s*:\s*"graph-model"|modelTopology")/.test(Buffer.from(head).toString('latin1'));
}

/** Tags of ModelProto's fields with which writers begin, nearly always `ir_version`. */
const IR_VERSION_TAG = 0x08;
const TEXT_TAGS = [0x12, 0x1a, 0x22]; // producer_name, producer_version, domain

/**
 * True where the first field looks like ONNX's, which has no identifier: IR versions so far are below 16, names short.
 */
function isOnnx(head: Uint8Array): boolean {
  const [tag = 0, value = 0] = head;
  if (tag === IR_VERSION_TAG) return value > 0 && value < 32;
  return TEXT_TAGS.includes(tag) && head.length > 2 && value < 64;
}
