import { MbertError } from '../errors.ts';
import { openFile } from '../io/files.ts';
import { litert } from './litert.ts';
import { onnxruntime } from './onnxruntime.ts';
import { modelName, type Runtime } from './runtime.ts';

/** Every runtime with the first bytes of its models. */
const runtimes: readonly { readonly runtime: Runtime; takes(head: Uint8Array): boolean }[] = [
  { runtime: litert, takes: isTflite },
  { runtime: onnxruntime, takes: isOnnx },
];

const HEAD_BYTES = 16;

/** The runtime for a model, by content. Throws UNKNOWN_FORMAT for bytes that are neither TFLite nor ONNX. */
export function runtimeFor(model: string | Uint8Array): Runtime {
  const head = typeof model === 'string' ? readHead(model) : model.subarray(0, HEAD_BYTES);
  const found = runtimes.find(({ takes }) => takes(head));
  if (found === undefined) {
    throw new MbertError('UNKNOWN_FORMAT', `${modelName(model, {})}: no runtime takes it`, {
      hint: 'runtimes take .tflite and .onnx files; convert others first',
    });
  }
  return found.runtime;
}

function readHead(path: string): Uint8Array {
  const file = openFile(path);
  try {
    return file.read(0, Math.min(HEAD_BYTES, file.size));
  } finally {
    file.close();
  }
}

/** A FlatBuffer's identifier lies behind the offset of its root. */
function isTflite(head: Uint8Array): boolean {
  return String.fromCharCode(...head.subarray(4, 8)) === 'TFL3';
}

/** ModelProto's fields as protobuf tags; writers begin with one of these, nearly always `ir_version`. */
const IR_VERSION_TAG = 0x08;
const TEXT_TAGS = [0x12, 0x1a, 0x22]; // producer_name, producer_version, domain

/** ONNX has no identifier. IR versions so far are below 16, and a name that comes first is short. */
function isOnnx(head: Uint8Array): boolean {
  const [tag = 0, value = 0] = head;
  if (tag === IR_VERSION_TAG) return value > 0 && value < 32;
  return TEXT_TAGS.includes(tag) && head.length > 2 && value < 64;
}
