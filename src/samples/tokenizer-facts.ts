import { MbertError } from '../errors.ts';
import type { TokenizerFiles } from '../formats/tokenizer-files.ts';
import type { TokenizerKind } from './tokenizer/definition.ts';
import { readDefinition } from './tokenizer/read.ts';
import { readSettings } from './tokenizer/settings.ts';

/** Facts of a tokenizer that written files, and those who read them, need. */
export interface TokenizerFacts {
  /** Way to cut words into tokens; undefined where no file says, or what they say cannot be read. */
  readonly kind: TokenizerKind | undefined;
  /** True where texts are lower-cased, BERT's way where no file says. */
  readonly lowerCase: boolean;
  /** WordPiece's vocabulary, one token a line: vocab.txt as it is, else what tokenizer.json has. */
  readonly vocabulary: Uint8Array | undefined;
  /** Tokens with their ids, added ones included. */
  readonly tokens: ReadonlyMap<string, number>;
  /** Reason why the files cannot be read, where they cannot. */
  readonly problem: MbertError | undefined;
}

/** Reads the facts of a tokenizer; what is wrong with its files is one of them, and not thrown. */
export function tokenizerFacts(files: TokenizerFiles): TokenizerFacts {
  try {
    const read = readDefinition(files);
    if (read === undefined) {
      return {
        kind: undefined,
        lowerCase: saidLowerCase(files),
        vocabulary: undefined,
        tokens: new Map(),
        problem: undefined,
      };
    }
    const { definition, lowerCase } = read;
    const { kind, vocabulary, added } = definition;
    return {
      kind,
      lowerCase,
      vocabulary: kind === 'WordPiece' ? (files.vocabulary?.bytes ?? vocabularyLines(vocabulary)) : undefined,
      tokens: new Map([...vocabulary, ...added.map(({ content, id }) => [content, id] as const)]),
      problem: undefined,
    };
  } catch (cause) {
    if (!(cause instanceof MbertError)) throw cause;
    // A damaged vocab.txt is one all the same; that of another kind of tokenizer is none.
    const vocabulary = cause.code === 'MALFORMED' ? files.vocabulary?.bytes : undefined;
    return { kind: undefined, lowerCase: saidLowerCase(files), vocabulary, tokens: new Map(), problem: cause };
  }
}

function saidLowerCase(files: TokenizerFiles): boolean {
  try {
    return readSettings(files).lowerCase ?? files.lowerCase ?? true;
  } catch (cause) {
    if (!(cause instanceof MbertError)) throw cause;
    return files.lowerCase ?? true;
  }
}

/** A vocab.txt of tokens with ids; lines of ids that no token has are `[unused7]`, as in BERT's own. */
function vocabularyLines(vocabulary: ReadonlyMap<string, number>): Uint8Array {
  const lines: string[] = [];
  for (const [token, id] of vocabulary) lines[id] = token;
  for (let id = 0; id < lines.length; id++) lines[id] ??= `[unused${id}]`;
  return new TextEncoder().encode(`${lines.join('\n')}\n`);
}
