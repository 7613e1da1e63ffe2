import { MbertError } from '../errors.ts';
import { decodeFlatbuffer } from '../formats/tflite/decode.ts';
import { type Model, modelRoot } from '../formats/tflite/generated/model.ts';
import { tfliteDtype } from '../formats/tflite/types.ts';

/**
 * Most bytes that models may take in LiteRT's WebAssembly, nine tenths of the 2 GiB that its build allows itself: the
 * rest is for activations and what lies between blocks. Beyond, allocations fail without a word and outputs are zeros or
 * noise (measured with @litertjs/core 2.5.3: files of 1,007 MB in f32 and 671 MB in f16 are right, of 1,107 MB and a
 * BERT of 670 MB in f16 they are not).
 */
const MAX_BYTES = 0.9 * 2 ** 31;

/** Bytes of the models that are loaded: all share one WebAssembly instance. */
let heldBytes = 0;

/**
 * Takes the memory that a model needs in the runtime. Throws UNSUPPORTED where it does not fit, as the runtime would
 * compute something else.
 */
export function holdMemory(bytes: Uint8Array, name: string): { release(): void } {
  const needed = neededBytes(bytes, name);
  if (needed + heldBytes > MAX_BYTES) {
    const others = heldBytes === 0 ? '' : ` beside the ${megabytes(heldBytes)} of others`;
    throw new MbertError(
      'UNSUPPORTED',
      `${name}: takes ${megabytes(needed)}${others} in LiteRT's WebAssembly, which ends at ${megabytes(MAX_BYTES)}`,
      { hint: HINT },
    );
  }
  heldBytes += needed;
  let isHeld = true;
  return {
    release() {
      if (isHeld) heldBytes -= needed;
      isHeld = false;
    },
  };
}

/** The file and, for each constant, what XNNPACK packs it into or the runtime widens it to: f32 for all floats. */
export function neededBytes(bytes: Uint8Array, name: string): number {
  const model = decoded(bytes, name);
  const halves = new Set<number>();
  for (const { tensors = [] } of model?.subgraphs ?? [])
    for (const { buffer, type } of tensors) if (tfliteDtype(type) === 'f16') halves.add(buffer);
  return (model?.buffers ?? []).reduce((needed, { data, offset, size }, i) => {
    // Large models have their weights behind the FlatBuffer; offsets of 0 and 1 stand for none.
    const stored = data?.byteLength || (offset > 1 ? size : 0);
    return needed + stored * (halves.has(i) ? 2 : 1);
  }, bytes.byteLength);
}

/** A file that cannot be read is left to the runtime's own refusal. */
function decoded(bytes: Uint8Array, name: string): Model | undefined {
  try {
    return decodeFlatbuffer(modelRoot, bytes, name);
  } catch (cause) {
    if (cause instanceof MbertError) return undefined;
    throw cause;
  }
}

/**
 * Throws UNSUPPORTED where WebAssembly's memory has grown to its end: an allocation may have failed meanwhile, and what
 * was computed is not to be believed.
 */
export function refuseFullMemory(memoryBytes: number, name: string): void {
  if (memoryBytes < FULL_BYTES) return;
  throw new MbertError(
    'UNSUPPORTED',
    `${name}: LiteRT's WebAssembly ran out of memory, its results are worth nothing`,
    {
      hint: HINT,
    },
  );
}

/** Size of a memory that cannot grow any more: it ends at 2 GiB and grows in pages of 64 KiB. */
const FULL_BYTES = 2 ** 31 - 2 ** 16;

const HINT = 'run the file in LiteRT on a device; an ONNX file of the model, or an int8 one, can be run here';

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6)} MB`;
}
