import { MbertError } from '../../errors.ts';
import { PAIR_TASKS, type Task } from '../../models/index.ts';
import type { ClassReader } from '../../opened/class-labels.ts';
import { type FittedTexts, placesOf } from '../../opened/fitted-texts.ts';
import type { Evidence } from '../../options/evidence.ts';
import type { TokenRow } from '../../samples/feeds.ts';
import { manifestOf, type SampleFile, type SampleManifest, type TokenSample } from '../../samples/open-samples.ts';
import { findOverlap, sampleKeys } from '../../samples/overlap.ts';
import type { RowReader } from './row-reader.ts';

/** Samples by what they are used for. */
export interface SampleSets {
  readonly calibration: readonly TokenRow[];
  /** A few samples that settings are chosen by; not among the calibration samples where the file has more. */
  readonly validation: readonly TokenRow[];
  /**
   * Texts to train on: the calibration samples and, where `pool` asks for them, all others of the file that nothing else
   * is measured on.
   */
  readonly training: readonly LabelledRow[];
  /**
   * Texts by which training is watched, none of which are trained on: the validation samples and, of a file with many,
   * more of its others. Empty where the file has no more than the calibration samples.
   */
  readonly watched: readonly TokenRow[];
  /** Samples of the final comparison: neither of the above, as far as there are more. */
  readonly proof: readonly TokenRow[];
  /** The class of each proof sample; undefined where samples have no labels or the task is not classification. */
  readonly labels: readonly number[] | undefined;
  /** Description of the calibration samples, for the metadata of a file. */
  readonly manifest: SampleManifest | undefined;
  /**
   * The file's texts that are trained on and that watch it, for the metadata of what is trained; undefined where none
   * are asked for.
   */
  readonly learnt: FittedTexts | undefined;
  /** Number of evaluation samples that were calibrated on, where that is allowed. */
  readonly overlap: number;
  readonly warnings: readonly string[];
}

/** Sample sets where the user gives no texts. */
export const NO_SAMPLES: SampleSets = {
  calibration: [],
  validation: [],
  training: [],
  watched: [],
  proof: [],
  labels: undefined,
  manifest: undefined,
  learnt: undefined,
  overlap: 0,
  warnings: [],
};

export interface SampleSetOptions {
  readonly evidence: Evidence;
  readonly task: Task | undefined;
  /** Number of the file's first samples that an earlier step was fitted to: they prove nothing. */
  readonly used?: number | undefined;
  /** Samples that an earlier call fitted the model to: they prove nothing, but may be trained on. */
  readonly fitted?: readonly TokenSample[] | undefined;
  /** Samples that an earlier training was watched by: they may watch again, but prove nothing. */
  readonly watched?: readonly TokenSample[] | undefined;
  /** Reads labels; undefined where the task has none that files hold. */
  readonly classOf: ClassReader | undefined;
  /** Most texts to train on. Default: the calibration samples alone. */
  readonly pool?: number | undefined;
  /** Whether the calibration file's labels are read as well. */
  readonly hasLabels?: boolean | undefined;
}

/** A text with its class where that is known. */
export interface LabelledRow extends TokenRow {
  readonly label?: number | undefined;
}

/** Number of validation samples: enough to tell 1 dB, few enough to take seconds. */
const VALIDATION_SAMPLES = 32;
/** Most further samples that training is watched by, and the share of what is left that they may be. */
const MORE_WATCHED = 224;
const WATCHED_SHARE = 1 / 8;
/** Fewest samples of a proof: fewer say nothing about half a point. */
const MIN_PROOF = 32;
/** Most samples of a proof that are taken from a calibration file, however long it is: these are proof enough. */
const MAX_PROOF = 256;
/** Fewest calibration samples without a warning: ranges of fewer are too narrow for other texts. */
const FEW_SAMPLES = 16;

/** Opens the samples and splits them into sets, as the command's flags say. Throws USAGE and what readers throw. */
export function takeSamples(reader: RowReader, options: SampleSetOptions): SampleSets {
  const { evidence, task, used = 0, fitted = [], watched: hadWatched = [] } = options;
  const { classOf, pool = 0, hasLabels = false } = options;
  const use = hasLabels ? 'measure' : 'calibrate';
  const source = evidence.calibrate === undefined ? undefined : reader.open(evidence.calibrate, use);
  const data = evidence.data === undefined ? undefined : reader.open(evidence.data, 'measure');
  const warnings = [...(source?.warnings ?? []), ...(data?.warnings ?? [])];
  const calibration = source ? calibrationOf(source, evidence.samples, warnings) : [];
  const isFitted = among(fitted);
  const hasWatched = among(hadWatched);
  const from = Math.max(calibration.length, used);
  const { left, placeOf } = source ? heldOut(source, from, pool) : { left: [], placeOf: () => 0 };
  const others = left.filter((sample) => !isFitted(sample));
  const fresh = others.filter((sample) => !hasWatched(sample));
  // What has watched a training before watches first, so that as much as can be is left to prove.
  const unseen = fresh.length === others.length ? others : [...others.filter(hasWatched), ...fresh];
  const evaluation = data?.take(0, data.count);
  if (evaluation) warnings.push(...evaluation.warnings);
  const behind = unseen.slice(VALIDATION_SAMPLES);
  const proofCandidates = unseen.length >= VALIDATION_SAMPLES + MIN_PROOF ? behind : unseen;
  const proof = evaluation?.samples ?? proofCandidates.filter((sample) => !hasWatched(sample)).slice(0, MAX_PROOF);
  const proves = new Set(evaluation ? [] : proof);
  const rest = behind.filter((sample) => !proves.has(sample));
  const more = pool > 0 ? Math.min(MORE_WATCHED, Math.floor(rest.length * WATCHED_SHARE)) : 0;
  const known = pool > 0 ? [...left.filter(isFitted), ...rest.slice(more)] : [];
  const training = [...calibration, ...known.slice(0, Math.max(0, pool - calibration.length))];
  const validation = unseen.length > 0 ? unseen.slice(0, VALIDATION_SAMPLES) : calibration.slice(-VALIDATION_SAMPLES);
  const watched = unseen.length > 0 ? [...validation, ...rest.slice(0, more)] : [];
  // What training ends by is chosen by the texts that watch it.
  const seen = [...training, ...(pool > 0 ? watched : []), ...fitted, ...hadWatched];
  const overlap = data && evaluation ? overlapOf(data, seen, evaluation.samples, evidence.allowOverlap) : 0;
  if (overlap > 0) warnings.push(`${data?.path}: ${overlap} samples were calibrated on: the proof is too good`);
  if (source) warnings.push(...unseenTypes(source.path, calibration, proof, { task, tokenTypes: reader.tokenTypes }));
  if (pool > 0 && evaluation === undefined && proof.length > 0 && proofCandidates === unseen) {
    warnings.push(`${source?.path}: too few texts to prove a training on others than those that it is kept by`);
  }
  if (data && classOf === undefined && proof[0]?.label !== undefined) {
    const why = task === undefined ? 'the model does not say what its outputs are' : `${task} has none to count here`;
    warnings.push(`${data.path}: its labels are not read: ${why}`);
  }
  const isGated = evidence.maxDrop !== undefined;
  checkProof(proof.length, { data, source, calibrated: calibration.length, isGated, warnings });
  const manifest = source && manifestOf(source, calibration.length, evidence.seed);
  const learnt = (): FittedTexts | undefined => {
    if (manifest === undefined || pool === 0) return undefined;
    const trained = [...calibration.keys(), ...training.slice(calibration.length).map(placeOf)];
    return { ...manifest, count: training.length, places: placesOf(trained), watched: placesOf(watched.map(placeOf)) };
  };
  const labelOf = hasLabels && source ? trainingLabels(source, training, classOf) : undefined;
  return {
    calibration: calibration.map(rowOf),
    validation: validation.map(rowOf),
    training: training.map((sample) => (labelOf ? { ...sample.row, label: labelOf(sample) } : sample.row)),
    watched: watched.map(rowOf),
    proof: proof.map(rowOf),
    labels: data && labelsOf(data, proof, classOf),
    manifest,
    learnt: learnt(),
    overlap,
    warnings: [...new Set(warnings)],
  };
}

function rowOf({ row }: TokenSample): TokenRow {
  return row;
}

function calibrationOf(source: SampleFile, count: number, warnings: string[]): readonly TokenSample[] {
  const { samples, warnings: found } = source.take(0, count);
  warnings.push(...found);
  if (samples.length < Math.min(count, FEW_SAMPLES)) {
    const few = samples.length === 1 ? 'one sample' : `${samples.length} samples`;
    warnings.push(`${source.path}: has ${few} to calibrate on: other texts will leave the ranges of so few`);
  }
  // [CLS] and [SEP] alone, as text makes that holds nothing the tokenizer knows.
  if (samples.every(({ row }) => row.inputIds.length < 3)) {
    throw new MbertError('USAGE', `${source.path}: no sample has a token besides [CLS] and [SEP]`, {
      hint: 'calibration needs text as the model will see it',
    });
  }
  return samples;
}

/** Warns where no sample has a second text and the model will read some: their token type is in no range then. */
function unseenTypes(
  path: string,
  calibration: readonly TokenSample[],
  proof: readonly TokenSample[],
  { task, tokenTypes }: { readonly task: Task | undefined; readonly tokenTypes: number },
): string[] {
  const hasPairs = (samples: readonly TokenSample[]) =>
    samples.some(({ row }) => row.tokenTypeIds.some((type) => type !== 0));
  if (tokenTypes < 2 || hasPairs(calibration)) return [];
  const reader =
    task !== undefined && PAIR_TASKS.has(task) ? `a model for ${task} reads` : hasPairs(proof) && 'the proof has';
  return reader ? [`${path}: holds single texts, and ${reader} pairs: nothing of token type 1 is calibrated`] : [];
}

/** Whether a sample is one of these, by its text or its tokens. */
function among(samples: readonly TokenSample[]): (sample: TokenSample) => boolean {
  if (samples.length === 0) return () => false;
  const keys = new Set(samples.flatMap(sampleKeys));
  return (sample) => sampleKeys(sample).some((key) => keys.has(key));
}

/** Samples that come after the first `used` and are equal to none of them, once each, with their places in the file. */
function heldOut(source: SampleFile, used: number, pool: number) {
  const { samples } = source.take(used, Math.max(pool, 2 * (VALIDATION_SAMPLES + MAX_PROOF)));
  const seen = new Set(source.take(0, used).samples.map(keyOf));
  const rest: TokenSample[] = [];
  for (const sample of samples) {
    if (!seen.has(keyOf(sample))) rest.push(sample);
    seen.add(keyOf(sample));
  }
  const places = new Map(samples.map((sample, i) => [sample, used + i]));
  return { left: rest, placeOf: (sample: TokenSample) => places.get(sample) as number };
}

function keyOf({ row: { inputIds, tokenTypeIds } }: TokenSample): string {
  return `${inputIds.join()} ${tokenTypeIds.indexOf(1)}`;
}

function overlapOf(
  { path }: SampleFile,
  calibration: readonly TokenSample[],
  evaluation: readonly TokenSample[],
  isAllowed: boolean,
): number {
  const overlap = findOverlap(calibration, evaluation);
  if (overlap === null) return 0;
  if (isAllowed) return overlap.count;
  const problem = `${overlap.count} of its ${evaluation.length} samples are calibration samples as well`;
  throw new MbertError('USAGE', `${path}: ${problem}, the first is sample ${overlap.first + 1}`, {
    hint: 'calibrate on other text, or say --allow-overlap and read the result with that in mind',
  });
}

interface ProofFiles {
  readonly data: SampleFile | undefined;
  readonly source: SampleFile | undefined;
  /** Number of samples of `source` that are calibrated on. */
  readonly calibrated: number;
  readonly isGated: boolean;
  readonly warnings: string[];
}

function checkProof(count: number, { data, source, calibrated, isGated, warnings }: ProofFiles): void {
  const file = data ?? source;
  if (count >= MIN_PROOF || file === undefined) return;
  const problem = `${file.path}: ${count} samples are left for the proof, ${MIN_PROOF} are the least`;
  const fewer = file.count - MIN_PROOF;
  const orFewer = fewer >= FEW_SAMPLES && fewer < calibrated ? `, or --samples ${fewer}` : '';
  const hint = data
    ? 'give it more samples'
    : `${calibrated} of its ${file.count} are calibrated on: give a longer file, other texts as --data FILE${orFewer}`;
  if (isGated) throw new MbertError('USAGE', problem, { hint });
  warnings.push(`${problem}: ${hint}`);
}

/** Reads the labels of texts to train on; a text may have none. Throws USAGE where the file or the task has no labels. */
function trainingLabels(
  { path }: SampleFile,
  samples: readonly TokenSample[],
  classOf: ClassReader | undefined,
): (sample: TokenSample) => number | undefined {
  if (classOf === undefined) {
    throw new MbertError('USAGE', '--labels: the model is no classifier of texts with one right class each', {
      hint: 'without --labels the student learns from its teacher alone',
    });
  }
  if (samples.every(({ label }) => label === undefined)) {
    throw new MbertError('USAGE', `--labels: ${path} has none`, {
      hint: 'a TSV, CSV or JSON file has them in a column, which --label names',
    });
  }
  return ({ label }) => (label === undefined ? undefined : classOf(label, `${path}: a label`));
}

function labelsOf(
  { path }: SampleFile,
  samples: readonly TokenSample[],
  classOf: ClassReader | undefined,
): readonly number[] | undefined {
  if (classOf === undefined || samples[0]?.label === undefined) return undefined;
  return samples.map(({ label }, i) => {
    const what = `${path}: sample ${i + 1}`;
    if (label === undefined) throw new MbertError('MISMATCH', `${what}: has no label, the first one has`);
    return classOf(label, what);
  });
}
