import { MbertError } from '../errors.ts';
import { hasIdentifier } from '../formats/tflite/decode.ts';
import { modelRoot } from '../formats/tflite/generated/model.ts';
import { withFile } from '../io/files.ts';
import { litert } from './litert.ts';
import { onnxruntime } from './onnxruntime.ts';
import { modelName, type Runtime } from './runtime.ts';

/** Runtimes, each with a test of its models' first bytes. */
const runtimes: readonly { readonly runtime: Runtime; takes(head: Uint8Array): boolean }[] = [
  { runtime: litert, takes: (head) => hasIdentifier(head, modelRoot) },
  { runtime: onnxruntime, takes: isOnnx },
];

const HEAD_BYTES = 16;

/** Finds the runtime for a model by content. Throws UNKNOWN_FORMAT for bytes that are neither TFLite nor ONNX. */
export function runtimeFor(model: string | Uint8Array): Runtime {
  const head = typeof model === 'string' ? readHead(model) : model.subarray(0, HEAD_BYTES);
  const row = runtimes.find(({ takes }) => takes(head));
  if (row === undefined) {
    throw new MbertError('UNKNOWN_FORMAT', `${modelName(model, {})}: no runtime takes it`, {
      hint: 'runtimes take .tflite and .onnx files; convert others first',
    });
  }
  return row.runtime;
}

function readHead(path: string): Uint8Array {
  return withFile(path, (file) => file.read(0, Math.min(HEAD_BYTES, file.size)));
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
