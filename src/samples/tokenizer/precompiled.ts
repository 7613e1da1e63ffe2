import { malformed } from '../../errors.ts';

/** Longest grapheme, in bytes of UTF-8, that is looked up as a whole: SentencePiece's maps have no longer keys. */
const MAX_GRAPHEME_BYTES = 5;

/**
 * SentencePiece's normalization, compiled into a map from byte sequences to texts: the size of a double-array trie, its
 * 32-bit units, then the texts, each with a zero behind it.
 */
export function precompiledNormalizer(charsmap: Uint8Array, what: string): (text: string) => string {
  const view = new DataView(charsmap.buffer, charsmap.byteOffset, charsmap.byteLength);
  const trieBytes = charsmap.byteLength < 4 ? -1 : view.getUint32(0, true);
  if (trieBytes < 4 || trieBytes % 4 !== 0 || trieBytes > charsmap.byteLength - 4) {
    throw malformed(what, `precompiled_charsmap of ${charsmap.byteLength} bytes holds no trie`);
  }
  const units = Uint32Array.from({ length: trieBytes / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
  const texts = charsmap.subarray(4 + trieBytes);
  const known = new Map<string, string>();

  const replacementOf = (part: string): string => {
    const seen = known.get(part);
    if (seen !== undefined) return seen;
    const at = shortestPrefix(units, Buffer.from(part));
    const end = at === undefined ? 0 : texts.indexOf(0, at);
    const replacement =
      at === undefined ? undefined : Buffer.from(texts.subarray(at, end < 0 ? texts.length : end)).toString();
    const result = replacement ?? (isOneCharacter(part) ? part : [...part].map(replacementOf).join(''));
    known.set(part, result);
    return result;
  };
  const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
  return (text) => {
    const parts: string[] = [];
    for (const { segment } of graphemes.segment(text)) {
      if (Buffer.byteLength(segment) <= MAX_GRAPHEME_BYTES) parts.push(replacementOf(segment));
      else for (const character of segment) parts.push(replacementOf(character));
    }
    return parts.join('');
  };
}

function isOneCharacter(text: string): boolean {
  return text.length <= String.fromCodePoint(text.codePointAt(0) ?? 0).length;
}

/** Walks the trie along the key: the value of its shortest prefix that has one, as the Rust library takes it. */
function shortestPrefix(units: Uint32Array, key: Uint8Array): number | undefined {
  let at = offsetOf(units[0] as number);
  for (const byte of key) {
    if (byte === 0) return undefined;
    at ^= byte;
    const unit = units[at];
    if (unit === undefined || labelOf(unit) !== byte) return undefined;
    at ^= offsetOf(unit);
    const leaf = units[at];
    if (hasLeaf(unit) && leaf !== undefined) return leaf & 0x7fffffff;
  }
  return undefined;
}

/** Bits 10 to 31, shifted by 8 more where bit 9 is set. */
function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

/** Bits 0 to 7; bit 31 is set in leaves, which are no byte's. */
function labelOf(unit: number): number {
  return (unit & 0x800000ff) >>> 0;
}

function hasLeaf(unit: number): boolean {
  return (unit & 0x100) !== 0;
}
