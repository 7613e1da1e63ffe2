import type { TokenRow } from '../../calibration/feeds.ts';
import { MbertError } from '../../errors.ts';
import { type RowReader, type Rows, rowKey, shuffled } from './rows.ts';

/** What is measured on which samples. No row is in two of them. */
export interface SampleSets {
  readonly calibration: readonly TokenRow[];
  /** A few more of the calibration file, to choose between forms by. */
  readonly trial: readonly TokenRow[];
  /** What the proof runs on. */
  readonly proof: readonly TokenRow[];
  readonly labels: readonly number[] | undefined;
  readonly calibrationPath: string | undefined;
  readonly proofPath: string | undefined;
  /** Rows of the evaluation data that were calibrated on, where that is allowed. */
  readonly overlap: number;
  readonly warnings: readonly string[];
}

export interface SampleOptions {
  readonly calibrate: string | undefined;
  readonly samples: number;
  readonly seed: number | undefined;
  readonly data: string | undefined;
  readonly allowOverlap: boolean;
  /** A gate needs enough samples. */
  readonly isGated: boolean;
}

/** What a scan looks at: enough to tell 1 dB, few enough to take seconds. */
const TRIAL_ROWS = 32;
/** Fewer held-out samples than this say nothing of half a point. */
const LEAST_PROOF = 32;
/** Where the calibration file goes on for ever, this many of its lines are proof enough. */
const MOST_PROOF = 256;
/** Ranges of fewer samples are too narrow for what comes later. */
const FEW_SAMPLES = 16;

/** Reads and parts the samples as the command's flags say. Throws USAGE and what readers throw. */
export function takeSamples(reader: RowReader, options: SampleOptions): SampleSets {
  const warnings: string[] = [];
  const source = options.calibrate === undefined ? undefined : reader.read(options.calibrate);
  const { calibration, rest } = source ? part(source, options) : { calibration: [], rest: [] };
  if (source) warnings.push(...calibrationWarnings(source, calibration, options.samples));
  const data = options.data === undefined ? undefined : reader.read(options.data);
  if (data && data.cut > 0) warnings.push(`${data.path}: ${data.cut} texts are cut to the sequence length`);
  const overlap = data ? countOverlap(data, calibration, options.allowOverlap) : 0;
  if (overlap > 0) warnings.push(`${data?.path}: ${overlap} samples were calibrated on: the proof is too good`);
  const trial = rest.length > 0 ? rest.slice(0, TRIAL_ROWS) : calibration.slice(-TRIAL_ROWS);
  const left = rest.length >= TRIAL_ROWS + LEAST_PROOF ? rest.slice(TRIAL_ROWS) : rest;
  const proof = data?.rows ?? left.slice(0, MOST_PROOF);
  const proofPath = data?.path ?? source?.path;
  if (proof.length < LEAST_PROOF && (source || data)) {
    const problem = `${proofPath}: ${proof.length} samples are left for the proof, ${LEAST_PROOF} are the least`;
    const hint = 'give --data FILE, or a calibration file with more lines than --samples';
    if (options.isGated) throw new MbertError('USAGE', problem, { hint });
    warnings.push(`${problem}; ${hint}`);
  }
  return {
    calibration,
    trial,
    proof,
    labels: data?.labels,
    calibrationPath: source?.path,
    proofPath: proof.length > 0 ? proofPath : undefined,
    overlap,
    warnings,
  };
}

/** The first samples of the file, and what comes after them and is none of them. */
function part({ rows }: Rows, { samples, seed }: SampleOptions) {
  const ordered = seed === undefined ? rows : shuffled(rows, seed);
  const calibration = ordered.slice(0, samples);
  const seen = new Set(calibration.map(rowKey));
  const rest = ordered.slice(samples).filter((row) => {
    const isNew = !seen.has(rowKey(row));
    seen.add(rowKey(row));
    return isNew;
  });
  return { calibration, rest };
}

function calibrationWarnings({ path, cut }: Rows, calibration: readonly TokenRow[], samples: number): string[] {
  const warnings: string[] = [];
  const count = `${calibration.length} sample${calibration.length === 1 ? '' : 's'}`;
  if (calibration.length < Math.min(samples, FEW_SAMPLES)) {
    warnings.push(`${path}: ${count} to calibrate on: other texts will leave the ranges of so few`);
  }
  if (cut > 0) warnings.push(`${path}: ${cut} texts are cut to the sequence length`);
  const SPECIAL_TOKENS = 2;
  if (calibration.every(({ inputIds }) => inputIds.length <= SPECIAL_TOKENS)) {
    throw new MbertError('USAGE', `${path}: no sample has a token besides [CLS] and [SEP]`, {
      hint: 'calibration needs text as the model will see it',
    });
  }
  return warnings;
}

function countOverlap({ path, rows }: Rows, calibration: readonly TokenRow[], isAllowed: boolean): number {
  const seen = new Set(calibration.map(rowKey));
  const overlap = rows.filter((row) => seen.has(rowKey(row))).length;
  if (overlap === 0 || isAllowed) return overlap;
  throw new MbertError('USAGE', `${path}: ${overlap} of its ${rows.length} samples are calibration samples as well`, {
    hint: 'calibrate on other text, or say --allow-overlap and read the result with that in mind',
  });
}
