/** Texts that a model is calibrated on and measured on. */
export interface EvidenceOptions {
  /** A file of texts as the model will see them: lines, TSV, JSONL or token files. */
  readonly calibrate?: string | undefined;
  /** How many of its texts are calibrated on, from the first one. Default 128; 768 for passes that are fitted to them. */
  readonly samples?: number | undefined;
  /** Shuffles the texts first. */
  readonly seed?: number | undefined;
  /** Held-out texts, with labels or without. Default: what the calibration file has left. */
  readonly data?: string | undefined;
  /** Allows texts to be calibrated on and measured on, and says so in the file. */
  readonly allowOverlap?: boolean | undefined;
  /** Percentage points of accuracy, or of agreement where texts have no labels, that may be lost. */
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

/** `samples` is what the step takes where the user does not say. */
export function evidenceOf(options: EvidenceOptions, samples: number): Evidence {
  const { calibrate, seed, data, allowOverlap = false, maxDrop } = options;
  return { calibrate, samples: options.samples ?? samples, seed, data, allowOverlap, maxDrop };
}
