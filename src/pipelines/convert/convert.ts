import { basename } from 'node:path';
import { openModel } from '../../opened/open-model.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import type { EvidenceOptions } from '../../options/evidence.ts';
import type { ModelOptions } from '../../options/model.ts';
import { noChangingPass, type PassChoice, type PassOptions, passChoice } from '../../options/passes.ts';
import { type Run, type RunOptions, startRun } from '../../options/run.ts';
import type { ShapeOptions } from '../../options/shape.ts';
import { type Writing, type WritingOptions, writingOf } from '../../options/writing.ts';
import { changingPasses } from '../../passes/index.ts';
import type { SpeedResult } from '../evaluate/compare-speed.ts';
import { changeFunction, fitProperties } from '../fit/change-function.ts';
import type { ChangedModel, FitReport } from '../fit/types.ts';
import { type WrittenResult, writtenResult } from '../fit/written-result.ts';
import { bytesOf, exportGraph } from '../write/export-graph.ts';
import { targetOf, type WritePlan, writePlans } from '../write/plans.ts';
import { addSoftmax, prepare } from '../write/prepare.ts';
import { twinShape } from '../write/twin.ts';
import { vocabularyWarnings } from '../write/vocabulary.ts';
import { type WrittenFile, writeModel } from '../write/write-model.ts';
import type { WrittenVerification } from './verify-written.ts';

export interface ConvertOptions
  extends ModelOptions,
    ShapeOptions,
    PassOptions,
    WritingOptions,
    EvidenceOptions,
    RunOptions {
  /** A checkpoint, model file or folder of any known format. */
  readonly source: string;
  /** A .tflite or .onnx file, or a folder that gets one of each. */
  readonly output: string;
  /** Runs source and result and compares them. */
  readonly verify?: boolean | undefined;
  /** Hears what passes that change the function cost, before anything is written. */
  readonly changed?: ((report: FitReport) => void) | undefined;
}

/** One written model. */
export interface ConvertedFile extends WrittenFile {
  readonly verify?: WrittenVerification;
  /** Where passes have changed the function: the file beside one of the original, as `--verify` measures it. */
  readonly speed?: SpeedResult;
}

export type ConvertResult = WrittenResult<ConvertedFile>;

/** How each of the files is made. */
interface Making {
  readonly shape: ShapeOptions;
  readonly passes: PassChoice;
  readonly writing: Writing;
  readonly run: Run;
}

/** Converts a source to TFLite, ONNX or both. Throws MbertError; a failure leaves no file behind. */
export async function convert(options: ConvertOptions): Promise<ConvertResult> {
  const writing = writingOf(options, options.output, targetOf(options.output));
  const passes = passChoice(options);
  refuseWithoutChange(passes, options);
  const plans = writePlans(options.output);
  const run = startRun(options);
  run.progress('reading');
  const original = await openModel(options.source, options);
  try {
    const { sequenceLength, batch, choices } = options;
    const making: Making = { shape: { sequenceLength, batch, choices }, passes, writing, run };
    const targets = plans.map(({ target }) => target);
    const { tokenizer } = writing;
    const warnings = vocabularyWarnings(original, tokenizer, targets);
    const changed = await changeFunction(original, { passes, targets, evidence: options, tokenizer, run });
    if (changed.fit) options.changed?.(changed.fit);
    const results: ConvertedFile[] = [];
    for (const plan of plans) {
      const written = await write(changed, plan, making);
      results.push(options.verify ? { ...written, ...(await check(original, changed, plan, making)) } : written);
    }
    return writtenResult(options.source, changed, results, warnings);
  } finally {
    original.close();
  }
}

/** Refuses evidence that no pass asks for. */
function refuseWithoutChange({ changing }: PassChoice, { calibrate, data, maxDrop }: EvidenceOptions): void {
  if (changing.length > 0) return;
  for (const [flag, given] of [
    ['calibrate', calibrate],
    ['data', data],
    ['max-drop', maxDrop],
  ] as const) {
    if (given !== undefined) throw noChangingPass(flag, `; mbert quantize has a --${flag} of its own`);
  }
}

async function write({ model, fit }: ChangedModel, plan: WritePlan, making: Making): Promise<ConvertedFile> {
  const { shape, passes, writing, run } = making;
  const { softmax } = writing;
  const prepared = await prepare(model, plan.target, { shape, passes, softmax, run });
  return writeModel(model, prepared, { plan, writing, properties: fitProperties(fit), run });
}

/** Compares a written file with its source; where its function was changed, it is timed beside the original as well. */
async function check(original: OpenedModel, { model, fit }: ChangedModel, plan: WritePlan, making: Making) {
  const verify = await verifyWritten(model, plan, making);
  return fit ? { verify, speed: await measureSpeed(original, model, plan, making) } : { verify };
}

async function verifyWritten(model: OpenedModel, plan: WritePlan, making: Making): Promise<WrittenVerification> {
  const { writing, run } = making;
  run.progress('verifying');
  const reference = model.reference();
  const isSoftened = writing.softmax && plan.target === 'tflite';
  if (isSoftened) addSoftmax(reference, model.task);
  const { verifyFile } = await import('./verify-written.ts');
  return verifyFile({
    source: isSoftened ? undefined : model.runnable,
    reference,
    against: model.applied === undefined ? 'source' : 'fitted graph',
    written: await runnableFile(model, plan, making),
    name: plan.path,
    dtype: writing.dtype,
    maxPositions: model.maxPositions,
    pad: model.pad,
  });
}

/** The written file beside one of the original that differs in the changed function only. */
async function measureSpeed(original: OpenedModel, model: OpenedModel, plan: WritePlan, making: Making) {
  making.run.progress('timing');
  const without = changingPasses.map(({ name }) => `-${name}`).join();
  const shape = twinOf(model, plan, making) ?? making.shape;
  const before = await writeInMemory(original, plan, { ...making, shape, passes: making.passes.behind(without) });
  const after = await runnableFile(model, plan, making);
  const { compareSpeed } = await import('../evaluate/compare-speed.ts');
  return compareSpeed(before, after, { reference: original.reference(), maxPositions: original.maxPositions });
}

/** The written file, or the bytes of its twin where no runtime here takes the file. */
async function runnableFile(model: OpenedModel, plan: WritePlan, making: Making): Promise<string | Uint8Array> {
  const shape = twinOf(model, plan, making);
  return shape === undefined ? plan.path : writeInMemory(model, plan, { ...making, shape });
}

function twinOf(model: OpenedModel, { target }: WritePlan, { shape }: Making): ShapeOptions | undefined {
  return twinShape(model.build(target, shape), target, model);
}

async function writeInMemory(
  model: OpenedModel,
  { target, path }: WritePlan,
  { shape, passes, writing, run }: Making,
): Promise<Uint8Array> {
  const { graph } = await prepare(model, target, { shape, passes, softmax: writing.softmax, run });
  const inOneFile = { ...writing, externalData: false };
  return bytesOf(exportGraph(model, graph, { target, name: basename(path), writing: inOneFile }));
}
