import { MbertError } from '../errors.ts';
import type { TokenizerFiles } from '../formats/tokenizer-files.ts';
import type { TokenRow } from './feeds.ts';
import { sectionCutter } from './tokenizer/added-tokens.ts';
import type { TokenizerDefinition } from './tokenizer/definition.ts';
import { pieceCutter } from './tokenizer/pieces.ts';
import { readDefinition } from './tokenizer/read.ts';
import type { TokenizerSettings } from './tokenizer/settings.ts';
import type { TemplatePiece } from './tokenizer/template.ts';

/** A text, or two as in question and context. */
export type Texts = readonly [string] | readonly [string, string];

/** Encoder of texts into the token ids of a model. */
export interface Tokenizer {
  /** Number of ids, so one above the largest. */
  readonly vocabSize: number;
  /** Id of padding, undefined where no file names it. */
  readonly pad: number | undefined;
  /** Id of words that the vocabulary has no pieces for, undefined where it has pieces for all. */
  readonly unknown: number | undefined;
  readonly mask: number | undefined;
  /** Longest sequence that its files allow, special tokens included. */
  readonly maxLength: number | undefined;
  /**
   * Encodes one text or a pair with the special tokens around them, cut to `maxLength` tokens: the longer text gives way
   * first. Throws USAGE where `maxLength` has no room for the special tokens.
   */
  encode(texts: Texts, maxLength?: number): TokenRow;
}

/**
 * Reads a tokenizer from its files, undefined where they hold no vocabulary. Throws MALFORMED for damaged files and
 * UNSUPPORTED, by name, for what is not computed here as transformers does.
 */
export function readTokenizer(files: TokenizerFiles): Tokenizer | undefined {
  const read = readDefinition(files);
  return read && tokenizerOf(read.definition, read.settings);
}

function tokenizerOf(definition: TokenizerDefinition, settings: TokenizerSettings): Tokenizer {
  const { vocabulary, added, normalize, template, ids } = definition;
  const cutSections = sectionCutter(added, normalize);
  const cutPieces = pieceCutter(definition);
  const idsOf = (text: string): number[] =>
    cutSections(settings.lowersTexts ? text.toLowerCase() : text).flatMap((section, place) =>
      typeof section === 'number' ? [section] : cutPieces(section, place),
    );
  const cut = (tokens: readonly number[], length: number) =>
    settings.cutsStart ? tokens.slice(tokens.length - length) : tokens.slice(0, length);

  return {
    vocabSize: 1 + [...vocabulary.values(), ...added.map(({ id }) => id)].reduce((most, id) => Math.max(most, id), -1),
    pad: ids.pad,
    unknown: ids.unknown,
    mask: ids.mask,
    maxLength: settings.maxLength,
    encode([textA, textB], maxLength = Number.POSITIVE_INFINITY) {
      // As in transformers, an empty second text is none.
      const pieces = textB ? template.pair : template.single;
      const room = maxLength - countSpecial(pieces);
      if (room < 0) throw new MbertError('USAGE', `sequence length ${maxLength}: has no room for the special tokens`);
      const texts = [idsOf(textA), textB ? idsOf(textB) : []] as const;
      const lengths = truncatedLengths(texts[0].length, texts[1].length, room);
      const inputIds: number[] = [];
      const tokenTypeIds: number[] = [];
      for (const piece of pieces) {
        const tokens = 'ids' in piece ? piece.ids : cut(texts[piece.text], lengths[piece.text]);
        inputIds.push(...tokens);
        tokenTypeIds.push(...tokens.map(() => (settings.hasTokenTypes ? piece.type : 0)));
      }
      return { inputIds, tokenTypeIds };
    },
  };
}

function countSpecial(pieces: readonly TemplatePiece[]): number {
  return pieces.reduce((count, piece) => count + ('ids' in piece ? piece.ids.length : 0), 0);
}

/**
 * Lengths to cut two texts to, transformers' `longest_first`: the longer text gives way until both have half of the
 * room, the longer an odd one more.
 */
function truncatedLengths(a: number, b: number, room: number): readonly [number, number] {
  if (a + b <= room) return [a, b];
  const shorter = Math.min(a, b, Math.floor(room / 2));
  return a <= b ? [shorter, room - shorter] : [room - shorter, shorter];
}
