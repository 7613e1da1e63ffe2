/** Texts that a model is calibrated on and measured on. */
export interface EvidenceOptions {
  /** A file of texts as the model will see them: lines, TSV, JSONL or token files. */
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

/** Texts as a step reads them, defaults filled in. */
export interface Evidence {
  readonly calibrate: string | undefined;
  readonly samples: number;
  readonly seed: number | undefined;
  readonly data: string | undefined;
  readonly allowOverlap: boolean;
  readonly maxDrop: number | undefined;
}

/** Fills in the defaults; `samples` is the number of texts where the user does not say. */
export function evidenceOf(options: EvidenceOptions, samples: number): Evidence {
  const { calibrate, seed, data, allowOverlap = false, maxDrop } = options;
  return { calibrate, samples: options.samples ?? samples, seed, data, allowOverlap, maxDrop };
}
