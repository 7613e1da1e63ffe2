import type { Graph } from '../../ir/graph.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import { tableRows } from '../../opened/token-tables.ts';
import type { TokenRow } from '../../samples/feeds.ts';
import { openSamples, type SampleFile } from '../../samples/open-samples.ts';
import { type NamedBytes, readWordPiece, type WordPiece } from '../../samples/wordpiece.ts';

export interface RowReader {
  /** Where the model has no vocabulary, files of tokens can be read all the same: padding is 0 there. */
  readonly tokenizer: Pick<WordPiece, 'pad' | 'mask'>;
  open(path: string): SampleFile;
  /** All rows of a file. */
  read(path: string): { readonly rows: readonly TokenRow[] };
}

/** Reads samples with the model's own vocabulary, cut to `maxLength`. `graph` is the model as its source has it. */
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
