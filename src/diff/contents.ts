import { digest, FINGERPRINT_DIGITS, knownFingerprint } from '../ir/fingerprint.ts';
import type { Constant, Graph } from '../ir/graph.ts';
import { shapeText } from '../ir/shape.ts';
import type { Quant, Tensor } from '../ir/tensor.ts';

/** Keys that tell constants with the same content; each tensor is read and hashed once. */
export interface Contents {
  /** Key of constants of the same dtype, shape and bytes; quantization is not part of it. */
  key(constant: Constant): string;
  /** Key of quantization with the same numbers. */
  quantKey(quant: Quant | undefined): string;
}

/** Makes keys for the constants of graphs. Where one is graph text, all have only the digits that text has. */
export function readContents(...graphs: readonly Graph[]): Contents {
  const isShort = graphs.some((graph) => graph.nodes().some(isFingerprinted));
  const shown = (hash: string) => (isShort ? hash.slice(0, FINGERPRINT_DIGITS) : hash);
  const hashes = new Map<Tensor, string>();
  const hashOf = (tensor: Tensor) => {
    const hash = hashes.get(tensor) ?? knownFingerprint(tensor) ?? shown(digest(tensor.bytes()));
    hashes.set(tensor, hash);
    return hash;
  };
  const arrayKey = (array: Float32Array | Int32Array) =>
    knownFingerprint(array) ?? shown(digest(new Uint8Array(array.buffer, array.byteOffset, array.byteLength)));
  return {
    key: ({ tensor }) => `${tensor.dtype}${shapeText(tensor.shape)} ${hashOf(tensor)}`,
    quantKey(quant) {
      if (quant === undefined) return '';
      if (quant.per === 'tensor') return `${quant.scale} ${quant.zeroPoint}`;
      const zeros = quant.zeroPoints?.some((zeroPoint) => zeroPoint !== 0) || hasFingerprint(quant.zeroPoints);
      const along = `${quant.axis} ${quant.per === 'block' ? quant.size : ''}`;
      return `${along} ${arrayKey(quant.scales)} ${zeros ? arrayKey(quant.zeroPoints as Int32Array) : ''}`;
    },
  };
}

/** True for a constant or scales of which graph text gave only the hash. */
export function isFingerprinted(node: { readonly op: string; readonly type: { readonly quant?: Quant } }): boolean {
  const { quant } = node.type;
  const hasValues = node.op !== 'constant' || knownFingerprint((node as Constant).tensor) === undefined;
  return !hasValues || (quant !== undefined && quant.per !== 'tensor' && hasFingerprint(quant.scales));
}

function hasFingerprint(array: Float32Array | Int32Array | undefined): boolean {
  return array !== undefined && knownFingerprint(array) !== undefined;
}
