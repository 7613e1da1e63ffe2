import { unlessMalformed } from '../errors.ts';
import { isObject, type JsonObject } from '../formats/json.ts';
import type { NamedBytes, TokenizerFiles } from '../formats/tokenizer-files.ts';
import { readJson } from '../samples/tokenizer/settings.ts';

/**
 * Warns of a tokenizer that pads on the left, worded `file: problem`. Texts of mbert are padded on the right: with places
 * that are counted from the first token on, and with an answer that is read from the first token, a padded text has the
 * answer of the text alone only there.
 */
export function paddingSideWarnings({ config, tokenizer }: TokenizerFiles): string[] {
  const side = config && read(config)?.get('padding_side');
  if (config !== undefined && side === 'left') return [warning(`${config.what}: padding_side: is left`)];
  if (typeof side === 'string' || tokenizer === undefined) return [];
  const { buffer, byteOffset, length } = tokenizer.bytes;
  // Most tokenizers are large, do not pad on the left, and need not be parsed; "Left" alone is a word of many.
  if (!LEFT.test(Buffer.from(buffer, byteOffset, length).toString('latin1'))) return [];
  const padding = read(tokenizer)?.get('padding');
  return isObject(padding) && padding.get('direction') === 'Left'
    ? [warning(`${tokenizer.what}: padding: direction: is Left`)]
    : [];
}

/** Stands where padding or truncation is on the left. */
const LEFT = /"direction"\s*:\s*"Left"/;

function warning(fact: string): string {
  return `${fact}: mbert pads on the right, wherever it pads: pad on the right in the app as well, so that answers are those of texts without padding`;
}

/** Reads a file; undefined where it is damaged, which is the problem of those who read texts with it. */
function read(file: NamedBytes): JsonObject | undefined {
  return unlessMalformed(() => readJson(file));
}
