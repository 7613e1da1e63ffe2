import type { Graph } from '../../ir/graph.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import { tableRows } from '../../opened/token-tables.ts';
import type { TokenRow } from '../../samples/feeds.ts';
import { openSamples, type SampleFile } from '../../samples/open-samples.ts';
import { type NamedBytes, readWordPiece, type WordPiece } from '../../samples/wordpiece.ts';

/** Reads files of samples as token rows for one model. */
export interface RowReader {
  /**
   * Ids of padding and [MASK]. Files of tokens can be read even where the model has no vocabulary: padding is 0 there.
   */
  readonly tokenizer: Pick<WordPiece, 'pad' | 'mask'>;
  open(path: string): SampleFile;
  /** Reads all rows of a file. */
  read(path: string): { readonly rows: readonly TokenRow[] };
}

/**
 * Makes a reader of samples with the model's own vocabulary, or `vocabulary` in its place, that cuts sequences to
 * `maxLength` tokens. `graph` is the model as its source has it.
 */
export function rowReader(
  model: OpenedModel,
  graph: Graph,
  options: {
    readonly maxLength: number;
    readonly vocabulary: NamedBytes | undefined;
    readonly seed?: number | undefined;
  },
): RowReader {
  const { maxLength, vocabulary, seed } = options;
  const bytes = vocabulary ?? (model.vocabulary && { what: 'vocab.txt', bytes: model.vocabulary });
  const settings = new TextEncoder().encode(JSON.stringify({ do_lower_case: model.lowerCase }));
  const tokenizer = bytes && readWordPiece(bytes, { what: 'tokenizer_config.json', bytes: settings });
  const common = {
    tokenizer,
    maxLength,
    vocabRows: tableRows(graph, 'input_ids'),
    tokenTypes: tableRows(graph, 'token_type_ids'),
    ...(seed !== undefined && { seed }),
  };
  const open = (path: string) => openSamples(path, common);
  return {
    tokenizer: tokenizer ?? { pad: 0, mask: undefined },
    open,
    read(path) {
      const file = open(path);
      return { rows: file.take(0, file.count).samples.map(({ row }) => row) };
    },
  };
}
