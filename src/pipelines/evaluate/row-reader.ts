import { MbertError } from '../../errors.ts';
import type { TokenizerFiles } from '../../formats/tokenizer-files.ts';
import type { Graph } from '../../ir/graph.ts';
import { tokenizerOf } from '../../opened/model-tokenizer.ts';
import { tokenizerOrError } from '../../opened/open-tokenizer.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import { tableRows } from '../../opened/token-tables.ts';
import type { ColumnNames } from '../../samples/columns.ts';
import type { TokenRow } from '../../samples/feeds.ts';
import { openSamples, type SampleFile } from '../../samples/open-samples.ts';

/** Reads files of samples as token rows for one model. */
export interface RowReader {
  /**
   * Ids of padding and [MASK]. Files of tokens can be read even where the model has no tokenizer: padding is what its
   * config says.
   */
  readonly tokenizer: { readonly pad: number; readonly mask: number | undefined };
  /** Number of token types that the model tells apart. */
  readonly tokenTypes: number;
  /** Opens a file, read for its texts alone where it is calibrated on: labels say nothing then. */
  open(path: string, use?: 'calibrate' | 'measure'): SampleFile;
  /** Opens a file for its texts alone, its samples in the order of another seed. */
  inOrder(path: string, seed: number | undefined): SampleFile;
  /** Reads all rows of a file of texts. */
  read(path: string): { readonly rows: readonly TokenRow[] };
}

/**
 * Makes a reader of samples with the model's own tokenizer, or the one given in its place, that cuts sequences to
 * `maxLength` tokens. `graph` is the model as its source has it.
 */
export function rowReader(
  model: OpenedModel,
  graph: Graph,
  options: {
    readonly maxLength: number;
    /** In place of the model's own. */
    readonly tokenizer?: TokenizerFiles | undefined;
    readonly seed?: number | undefined;
    readonly columns?: ColumnNames | undefined;
    /** Hears what files are read as. */
    readonly note?: ((text: string) => void) | undefined;
  },
): RowReader {
  const { maxLength, seed, columns = {}, note } = options;
  const tokenizer = tokenizerOrError(tokenizerOf(model, options.tokenizer));
  const readable = tokenizer instanceof MbertError ? undefined : tokenizer;
  const pad = readable?.pad ?? model.pad;
  const tokenTypes = tableRows(graph, 'token_type_ids');
  const common = { tokenizer, pad, maxLength, vocabRows: tableRows(graph, 'input_ids'), tokenTypes };
  const textsAlone = { ...columns, label: undefined };
  const open: RowReader['open'] = (path, use = 'measure') => {
    const file = openSamples(path, { ...common, seed, columns: use === 'calibrate' ? textsAlone : columns });
    note?.(`${path}: ${file.count} samples, ${file.taken}`);
    return file;
  };
  return {
    tokenizer: { pad, mask: readable?.mask },
    tokenTypes,
    open,
    inOrder: (path, order) => openSamples(path, { ...common, seed: order, columns: textsAlone }),
    read(path) {
      const file = open(path, 'calibrate');
      return { rows: file.take(0, file.count).samples.map(({ row }) => row) };
    },
  };
}
