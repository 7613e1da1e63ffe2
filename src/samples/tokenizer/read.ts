import { MbertError } from '../../errors.ts';
import { jsonText } from '../../formats/json.ts';
import type { TokenizerFiles } from '../../formats/tokenizer-files.ts';
import { OWN_CODE } from './classes.ts';
import type { TokenizerDefinition } from './definition.ts';
import { readJson, readSettings, type TokenizerSettings } from './settings.ts';
import { jsonDefinition } from './tokenizer-json.ts';
import { isCased, readVocabulary, vocabularyDefinition } from './vocab-txt.ts';

export interface ReadTokenizer {
  readonly definition: TokenizerDefinition;
  readonly settings: TokenizerSettings;
  readonly lowerCase: boolean;
}

/**
 * Reads the tokenizer.json and, where there is none, the vocab.txt, each with the settings beside it; undefined where
 * there is neither. Throws MALFORMED, and UNSUPPORTED for tokenizers that compute what mbert does not.
 */
export function readDefinition(files: TokenizerFiles): ReadTokenizer | undefined {
  const { tokenizer, vocabulary } = files;
  if (tokenizer === undefined && vocabulary === undefined) return undefined;
  const settings = readSettings(files);
  refuseOwnCode(settings);
  if (tokenizer !== undefined) {
    const definition = jsonDefinition(readJson(tokenizer), tokenizer.what, settings);
    return { definition, settings, lowerCase: settings.lowersTexts || definition.normalize('A') === 'a' };
  }
  if (vocabulary === undefined) return undefined;
  const lowerCase =
    settings.lowersTexts || (settings.lowerCase ?? files.lowerCase ?? !isCased(readVocabulary(vocabulary)));
  return { definition: vocabularyDefinition(vocabulary, settings, lowerCase), settings, lowerCase };
}

function refuseOwnCode({ className, what }: TokenizerSettings): void {
  if (className === undefined || !OWN_CODE.test(className)) return;
  throw new MbertError(
    'UNSUPPORTED',
    `${what}: tokenizer_class: ${jsonText(className)} splits texts by code of its own, which no file holds`,
    { hint: 'give token ids as .npz or TFRecord' },
  );
}
