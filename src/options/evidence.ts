import { MbertError } from '../errors.ts';
import type { ColumnNames } from '../samples/columns.ts';

/** Texts that a model is calibrated on and measured on. */
export interface EvidenceOptions extends ColumnOptions {
  /** A file of texts as the model will see them: lines, TSV, CSV, JSON, JSON lines or token files. */
  readonly calibrate?: string | undefined;
  /** Number of calibration texts, counted from the first. Default 128; 768 for passes that are fitted to them. */
  readonly samples?: number | undefined;
  /** Seed by which the texts are shuffled first. Default: the order of the file. */
  readonly seed?: number | undefined;
  /** Held-out texts, with labels or without. Default: what the calibration file has left. */
  readonly data?: string | undefined;
  /** Allows texts to be both calibrated on and measured on, and says so in the file. */
  readonly allowOverlap?: boolean | undefined;
  /**
   * Largest loss allowed, in percentage points of accuracy; where texts have no labels of agreement, and for sentence
   * embeddings of the rank correlation of similarities.
   */
  readonly maxDrop?: number | undefined;
}

/** Columns that texts are read from. Default: those that are known by their names, as `text`, `sentence` and `label`. */
export interface ColumnOptions {
  readonly text?: string | undefined;
  /** Second text of a pair. */
  readonly pair?: string | undefined;
  readonly label?: string | undefined;
}

/** Picks the columns among a call's options. Throws USAGE for half of what a pair needs, and for columns of no file. */
export function columnsOf({ text, pair, label }: ColumnOptions, hasTexts: boolean): ColumnNames {
  const given = Object.entries({ text, pair, label }).find(([, name]) => name !== undefined);
  if (!hasTexts && given !== undefined) {
    throw new MbertError('USAGE', `--${given[0]}: names a column of texts, and no file of texts is given`, {
      hint: 'name the file with --data',
    });
  }
  if (pair !== undefined && text === undefined) {
    throw new MbertError('USAGE', '--pair: is the second text of a pair', {
      hint: '--text NAME says which is the first',
    });
  }
  return { text, pair, label };
}

/** Throws USAGE for a vocabulary that reads nothing. */
export function refuseUnreadVocabulary(vocab: string | undefined, data: string | undefined): void {
  if (vocab === undefined || data !== undefined) return;
  throw new MbertError('USAGE', '--vocab: reads texts, and no file of texts is given', {
    hint: 'name the file with --data',
  });
}

/** Texts as a step reads them, defaults filled in. */
export interface Evidence {
  readonly calibrate: string | undefined;
  readonly samples: number;
  readonly seed: number | undefined;
  readonly data: string | undefined;
  readonly columns?: ColumnNames;
  readonly allowOverlap: boolean;
  readonly maxDrop: number | undefined;
}

/** Fills in the defaults; `samples` is the number of texts where the user does not say. */
export function evidenceOf(options: EvidenceOptions, samples: number): Evidence {
  const { calibrate, seed, data, allowOverlap = false, maxDrop } = options;
  const columns = columnsOf(options, calibrate !== undefined || data !== undefined);
  return { calibrate, samples: options.samples ?? samples, seed, data, columns, allowOverlap, maxDrop };
}
