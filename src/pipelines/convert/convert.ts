import { MbertError } from '../../errors.ts';
import type { Graph } from '../../ir/graph.ts';
import { constantBytes } from '../../ir/text.ts';
import { openModel } from '../../opened/open-model.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import type { EvidenceOptions } from '../../options/evidence.ts';
import type { ModelOptions } from '../../options/model.ts';
import { noChangingPass, type PassChoice, type PassOptions, passChoice } from '../../options/passes.ts';
import { type ObserveOptions, type RunOptions, runFor, stageOf, startRun } from '../../options/run.ts';
import type { ShapeOptions } from '../../options/shape.ts';
import { type WritingOptions, writingOf } from '../../options/writing.ts';
import { changingPasses } from '../../passes/index.ts';
import { size } from '../../printable.ts';
import type { SpeedResult } from '../evaluate/compare-speed.ts';
import { changeFunction, fitProperties } from '../fit/change-function.ts';
import type { ChangedModel, FitReport } from '../fit/types.ts';
import { type WrittenResult, writtenResult } from '../fit/written-result.ts';
import { allOrNothing } from '../write/all-or-nothing.ts';
import { withGivenLabels } from '../write/given-labels.ts';
import { keepWarnings } from '../write/kept-nodes.ts';
import { logitsWarnings } from '../write/outputs.ts';
import { targetOf, type WritePlan, writePlans } from '../write/plans.ts';
import { prepare } from '../write/prepare.ts';
import { refuseSource, replacedFiles } from '../write/replaced-files.ts';
import { vocabularyWarnings } from '../write/vocabulary.ts';
import { type WrittenFile, writeModel } from '../write/write-model.ts';
import { type FileSettings, runnableFile, twinOf, verifyWritten, writeInMemory } from './check-written.ts';
import type { WrittenVerification } from './verify-written.ts';

/** Options of `convert`. */
export interface ConvertOptions
  extends ModelOptions,
    ShapeOptions,
    PassOptions,
    WritingOptions,
    EvidenceOptions,
    RunOptions,
    ObserveOptions {
  /** A checkpoint, model file or folder of any known format. */
  readonly source: string;
  /** A .tflite or .onnx file, or a folder that gets one of each. */
  readonly output: string;
  /** Runs the source and each written file and compares their outputs. Default false. */
  readonly verify?: boolean | undefined;
  /** Called with what passes that change the function cost, before anything is written. */
  readonly changed?: ((report: FitReport) => void) | undefined;
}

/** One written model. */
export interface ConvertedFile extends WrittenFile {
  /** Comparison with the source, where it was asked for. */
  readonly verify?: WrittenVerification;
  /** Speed beside a file of the original model, where passes have changed the function and `verify` was asked for. */
  readonly speed?: SpeedResult;
}

/** Result of `convert`. */
export type ConvertResult = WrittenResult<ConvertedFile>;

/**
 * Converts a source to TFLite, ONNX or both. Throws MbertError: USAGE for options that do not fit, what the importers
 * throw, UNSUPPORTED for what a format cannot hold. A failure leaves no file behind.
 */
export async function convert(options: ConvertOptions): Promise<ConvertResult> {
  const writing = writingOf(options, options.output, targetOf(options.output));
  const passes = passChoice(options);
  refuseWithoutChange(passes, options);
  if (writing.dryRun && options.verify) throw new MbertError('USAGE', '--dry-run: there is no file to --verify');
  if (writing.dryRun && options.dumpPasses !== undefined) {
    throw new MbertError('USAGE', '--dry-run: writes nothing, and --dump-passes a folder');
  }
  const plans = writePlans(options.output);
  const replaced = replacedFiles(plans, options);
  const run = startRun(options);
  const stages = plans.flatMap(({ target }) =>
    ['write', ...(options.verify ? ['verify'] : [])].map((s) => stageOf(target, s)),
  );
  run.plan(['read', ...(passes.changing.length > 0 ? ['change'] : []), ...stages]);
  for (const note of replaced) run.note(note);
  run.progress('reading');
  const opened = await openModel(options.source, {
    ...options,
    observers: run.observers,
    keepsIntegers: !passes.asksForMore,
  });
  try {
    refuseSource(plans);
    const original = withGivenLabels(opened, writing);
    const { sequenceLength, batch, choices } = options;
    const settings: FileSettings = { shape: { sequenceLength, batch, choices }, passes, writing, run };
    const targets = plans.map(({ target }) => target);
    const { tokenizer } = writing;
    const warnings = [...vocabularyWarnings(original, tokenizer, targets), ...keepWarnings(original, options)];
    run.enter('change');
    const changed = await changeFunction(original, { passes, targets, evidence: options, tokenizer, run });
    if (changed.fit) options.changed?.(changed.fit);
    const grown: string[] = [];
    const warn = (warning: string) => grown.push(warning);
    const results = await allOrNothing(writing.dryRun ? [] : plans, async () => {
      const files: ConvertedFile[] = [];
      for (const plan of plans) {
        const fileRun = runFor(plan.target, targets, run);
        fileRun.enter('write');
        const written = await write(changed, plan, { ...settings, run: fileRun, warn });
        fileRun.enter('verify');
        files.push(options.verify ? { ...written, ...(await check(original, changed, plan, settings)) } : written);
      }
      return files;
    });
    const told = [...warnings, ...logitsWarnings(changed.model, targets, writing)];
    const result = writtenResult(options.source, changed, results, { run, warnings: told });
    return { ...result, warnings: [...result.warnings, ...grown] };
  } finally {
    opened.close();
  }
}

/** Throws USAGE for texts and limits that no pass asks for, and for how texts are to be read. */
export function refuseWithoutChange({ changing }: PassChoice, evidence: EvidenceOptions): void {
  if (changing.length > 0) return;
  for (const [flag, given] of [
    ['calibrate', evidence.calibrate],
    ['data', evidence.data],
    ['max-drop', evidence.maxDrop],
    ['samples', evidence.samples],
    ['seed', evidence.seed],
    ['text', evidence.text],
    ['pair', evidence.pair],
    ['label', evidence.label],
    ['allow-overlap', evidence.allowOverlap || undefined],
  ] as const) {
    if (given !== undefined) throw noChangingPass(flag, `; mbert quantize has a --${flag} of its own`);
  }
}

async function write(
  { model, fit }: ChangedModel,
  plan: WritePlan,
  { shape, passes, writing, run, warn }: FileSettings & { readonly warn: (warning: string) => void },
): Promise<ConvertedFile> {
  const prepared = await prepare(model, plan.target, { shape, passes, writing, run });
  const warning = growth(model, prepared.graph, plan);
  if (warning !== undefined) warn(warning);
  return writeModel(model, prepared, { plan, writing, properties: fitProperties(fit), run });
}

/** How much larger weights may become before that is said. */
const MAX_GROWTH = 1.5;

/** Words how large weights have become that the source stores as integers and the file as floats. */
function growth({ integerBytes }: OpenedModel, graph: Graph, { target, path }: WritePlan): string | undefined {
  const bytes = constantBytes(graph);
  if (integerBytes === undefined || bytes <= MAX_GROWTH * integerBytes) return undefined;
  const sizes = `${size(bytes)} of weights, in the source ${size(integerBytes)}`;
  return `${path}: ${sizes}: ${target} has no form for some that are stored as integers there`;
}

/** Compares a written file with its source; where its function was changed, times it beside the original as well. */
async function check(original: OpenedModel, { model, fit }: ChangedModel, plan: WritePlan, settings: FileSettings) {
  const verify = await verifyWritten(model, plan, settings);
  return fit ? { verify, speed: await measureSpeed(original, model, plan, settings) } : { verify };
}

/**
 * Times the written file beside one of the original model that was written without the passes that change the function.
 */
async function measureSpeed(original: OpenedModel, model: OpenedModel, plan: WritePlan, settings: FileSettings) {
  settings.run.progress('timing');
  const without = changingPasses.map(({ name }) => `-${name}`).join();
  const shape = twinOf(model, plan, settings) ?? settings.shape;
  const before = await writeInMemory(original, plan, { ...settings, shape, passes: settings.passes.behind(without) });
  const after = await runnableFile(model, plan, settings);
  const { compareSpeed } = await import('../evaluate/compare-speed.ts');
  return compareSpeed(before, after, { reference: original.reference(), maxPositions: original.maxPositions });
}
