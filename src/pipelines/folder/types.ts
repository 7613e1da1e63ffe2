import type { EvidenceOptions } from '../../options/evidence.ts';
import type { FolderLayoutOptions, FormName, LayoutName } from '../../options/forms.ts';
import type { ModelOptions } from '../../options/model.ts';
import type { PassOptions } from '../../options/passes.ts';
import type { ObserveOptions, RunOptions } from '../../options/run.ts';
import type { ShapeOptions } from '../../options/shape.ts';
import type { WritingOptions } from '../../options/writing.ts';
import type { SampleManifest } from '../../samples/open-samples.ts';
import type { WrittenVerification } from '../convert/verify-written.ts';
import type { FitReport } from '../fit/types.ts';
import type { WrittenResult } from '../fit/written-result.ts';
import type { QuantizedFile } from '../quantize/types.ts';
import type { WrittenFile } from '../write/write-model.ts';

/** Options of `writeFolder`. */
export interface FolderOptions
  extends ModelOptions,
    ShapeOptions,
    PassOptions,
    Omit<WritingOptions, 'dtype'>,
    EvidenceOptions,
    FolderLayoutOptions,
    RunOptions,
    ObserveOptions {
  /** A checkpoint, model file or folder of any known format. */
  readonly source: string;
  /** The folder to write. */
  readonly output: string;
  /** Called with what passes that change the function cost, before anything is written. */
  readonly changed?: ((report: FitReport) => void) | undefined;
}

/** Answers of a written file beside those of what it was made of, both run in the file's own runtime. */
export interface Measured {
  /** Model that it was compared with; `float graph` is the f32 form that it was made of. */
  readonly against: WrittenVerification['against'] | 'float graph';
  readonly on: 'seeded token sequences' | 'held-out texts';
  /** Number of these. */
  readonly count: number;
  /** Runtime of the written file, as `onnxruntime 1.30.0`. */
  readonly runtime: string;
  /** Signal to quantization noise in dB, of the output that is worst; infinite where both are equal bit for bit. */
  readonly sqnrDb: number;
  /** Share of equal answers, 0 … 1; undefined where there is nothing to choose, and where it cannot be told. */
  readonly agreement: number | undefined;
  /** Pearson's correlation of both models' answers, for a regression; undefined for others, and where it cannot be told. */
  readonly correlation: number | undefined;
  /** Mean cosine of embeddings, or that of all values of the output that is worst. */
  readonly cosine: number | undefined;
  /** Share of right answers, 0 … 1, where texts have labels. */
  readonly accuracy: { readonly float: number; readonly form: number } | undefined;
}

/** What a quantized form tells of its integers, and of the runtime that it needs; f32 has none of it. */
export type QuantizedParts = Pick<QuantizedFile, 'scheme' | 'floatBytes' | 'linears' | 'widened' | 'times' | 'needs'>;

/** One form of the model in the folder. */
export interface WrittenForm extends WrittenFile, Partial<QuantizedParts> {
  readonly form: FormName;
  /** Setting that opens it in the layout's program. */
  readonly openedBy: string | undefined;
  /** Undefined where no runtime here takes the file as it is, and where nothing is written. */
  readonly measured: Measured | undefined;
  /** Texts that it was calibrated on. */
  readonly calibration: SampleManifest | undefined;
  /** Reasons for exit code 1; empty where every gate is passed. */
  readonly failures: readonly string[];
  readonly warnings: readonly string[];
}

/** How far a vocabulary became smaller. */
export interface VocabularySizes {
  readonly tokens: number;
  readonly before: number;
}

/** Result of `writeFolder`. */
export interface FolderResult extends WrittenResult<WrittenForm> {
  readonly layout: LayoutName | undefined;
  readonly folder: string;
  /** Path of mbert.json. */
  readonly manifest: string;
  /** Number of tokens, and of those that there were before some were taken out. */
  readonly vocabulary?: VocabularySizes;
  /** Files beside the models: where each was copied from, undefined for one that was made. */
  readonly sideFiles: readonly { readonly path: string; readonly from: string | undefined; readonly size: number }[];
}
