import { dirname, join, resolve } from 'node:path';
import { MbertError } from '../../errors.ts';
import type { TokenizerFiles } from '../../formats/tokenizer-files.ts';
import { writeWhole } from '../../io/files.ts';
import { openModel } from '../../opened/open-model.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import { columnsOf } from '../../options/evidence.ts';
import { type FormName, formsOf } from '../../options/forms.ts';
import { passChoice } from '../../options/passes.ts';
import { type Run, runFor, stageOf, startRun } from '../../options/run.ts';
import { writingOf } from '../../options/writing.ts';
import type { Target } from '../../passes/index.ts';
import { type FileSettings, type OpenReference, openReference } from '../convert/check-written.ts';
import { refuseWithoutChange } from '../convert/convert.ts';
import { changeFunction } from '../fit/change-function.ts';
import type { ChangedModel } from '../fit/types.ts';
import { writtenResult } from '../fit/written-result.ts';
import { dropLeft, requestOf } from '../quantize/quantize.ts';
import { SharedWork } from '../quantize/shared-work.ts';
import { allOrNothing } from '../write/all-or-nothing.ts';
import { withGivenLabels } from '../write/given-labels.ts';
import { keepWarnings } from '../write/kept-nodes.ts';
import { logitsWarnings } from '../write/outputs.ts';
import { refuseFile, refuseStandardOutput } from '../write/plans.ts';
import { refuseSource, replacedFiles } from '../write/replaced-files.ts';
import { vocabularyWarnings } from '../write/vocabulary.ts';
import type { Layout } from './layout.ts';
import { layoutNamed } from './layouts/index.ts';
import { manifestPath, manifestText } from './manifest.ts';
import { planSideFiles } from './replaced-side-files.ts';
import { type TrimmedVocabulary, trimVocabulary, withVocabulary } from './trim-vocabulary.ts';
import type { FolderOptions, FolderResult, WrittenForm } from './types.ts';
import { type FormPlan, writeForm } from './write-form.ts';

/**
 * Writes a model in one or more forms, with whatever else the program reads that opens the folder, and a manifest. The
 * source is read once, texts are calibrated on once, and every form is run beside what it was made of. Throws MbertError:
 * USAGE for options that do not fit, UNSUPPORTED and NOT_FOUND for what the program could not open, and what importers and
 * exporters throw. A failure leaves the folder as it was.
 */
export async function writeFolder(options: FolderOptions): Promise<FolderResult> {
  const forms = formsOf(options.forms);
  const layout = layoutNamed(options.layout);
  refuseContradictions(options, forms, layout);
  const given = writingOf(options, options.output, layout.formats.length === 1 ? layout.formats[0] : undefined);
  const passes = passChoice(options);
  // Columns are of the texts that a vocabulary is trimmed to as well.
  const ofTrimming = options.trimVocabulary === undefined ? {} : { text: undefined, pair: undefined };
  if (forms.every((form) => form === 'f32')) refuseWithoutChange(passes, { ...options, ...ofTrimming });
  const run = startRun(options);
  run.plan([
    'read',
    ...(passes.changing.length > 0 ? ['change'] : []),
    ...layout.formats.flatMap((target) => forms.map((form) => stageOf(target, form))),
  ]);
  run.progress('reading');
  const source = await openModel(options.source, { ...options, observers: run.observers });
  try {
    refuseQuantized(source, options.source);
    const opened = withGivenLabels(source, given);
    const { sequenceLength, batch, choices } = options;
    const shape = { sequenceLength, batch, choices };
    const { formats: targets } = layout;
    const { tokenizer } = given;
    const settled = layout.settle({ model: opened, shape, writing: given });
    const warnings = [...vocabularyWarnings(opened, tokenizer, targets), ...keepWarnings(opened, options)];
    const trimmed = trimmedBy(options, opened, tokenizer);
    const writing = trimmed ? { ...settled, tokenizer: trimmed.files } : settled;
    const request = { model: trimmed ? withVocabulary(opened, trimmed) : opened, shape, writing };
    const sideFiles = layout.sideFiles(request);
    const files = targets.flatMap((target) =>
      forms.map((form) => {
        const { stem, openedBy } = layout.fileOf(form, forms, request);
        return { form, target, path: join(options.output, `${stem}.${target}`), openedBy };
      }),
    );
    refuseSource(files);
    const { force, dryRun } = options;
    const replaced = replacedFiles(files, { force, dryRun });
    const beside = planSideFiles(options.output, sideFiles, { force, dryRun });
    for (const note of [...replaced, ...beside.notes]) run.note(note);
    // What is fitted is fitted to texts as the whole vocabulary cuts them.
    run.enter('change');
    const whole = await changeFunction(opened, { passes, targets, evidence: options, tokenizer, run });
    if (whole.fit) options.changed?.(whole.fit);
    const changed = trimmed ? { ...whole, model: withVocabulary(whole.model, trimmed) } : whole;
    const plans = files.map(
      (file): FormPlan => ({ ...file, request: quantizationOf(file, { options, layout, changed, writing }) }),
    );
    const manifest = manifestPath(options.output);
    const vocabulary = trimmed && { tokens: trimmed.kept.length, before: trimmed.before };
    const outputs = [
      ...plans,
      ...beside.written.map(({ path }) => ({ path: join(options.output, path) })),
      { path: manifest },
    ];
    const results = await allOrNothing(dryRun ? [] : outputs, async () => {
      const written = await writeForms(changed, plans, { shape, passes, writing, run }, layout);
      if (dryRun) return written;
      for (const file of beside.written) await writeWhole(join(options.output, file.path), file.bytes);
      const parts = {
        folder: options.output,
        layout: layout.name,
        model: opened,
        vocabulary,
        forms: written,
        sideFiles,
      };
      await writeWhole(manifest, new TextEncoder().encode(manifestText(parts)));
      return written;
    });
    return {
      ...writtenResult(options.source, changed, results, {
        run,
        warnings: [...warnings, ...logitsWarnings(changed.model, targets, writing)],
      }),
      layout: layout.name,
      folder: options.output,
      manifest,
      ...(vocabulary && { vocabulary }),
      sideFiles: sideFiles.map(({ path, from, bytes }) => ({ path, from, size: bytes.byteLength })),
    };
  } finally {
    source.close();
  }
}

/** Throws USAGE for options that contradict each other. */
function refuseContradictions(options: FolderOptions, forms: readonly FormName[], { formats }: Layout): void {
  const { output, calibrate, dumpPasses, dryRun } = options;
  if (dryRun && dumpPasses !== undefined) {
    throw new MbertError('USAGE', '--dry-run: writes nothing, and --dump-passes a folder');
  }
  refuseStandardOutput(output);
  refuseFile(output, '--layout and --forms write');
  if (forms.includes('int8') && calibrate === undefined) {
    throw new MbertError('USAGE', '--forms int8: needs --calibrate FILE', {
      hint: 'a hundred lines of text as the model will see it; the form dynamic needs none',
    });
  }
  if (dumpPasses !== undefined && forms.length * formats.length > 1) {
    throw new MbertError('USAGE', '--dump-passes: is for one form', { hint: 'name one with --forms' });
  }
}

/** The vocabulary as the user wants it. Throws USAGE where the folder is the source's, whose tokenizer would be replaced. */
function trimmedBy(
  options: FolderOptions,
  model: OpenedModel,
  given: TokenizerFiles | undefined,
): TrimmedVocabulary | undefined {
  const { trimVocabulary: what, output, text, pair } = options;
  if (what === undefined) return undefined;
  const own = dirname(model.path);
  if (isSame(output, own) || isSame(output, dirname(own))) {
    throw new MbertError('USAGE', `--trim-vocabulary: ${output}: the tokenizer of the source would be replaced`, {
      hint: 'name another folder with --output',
    });
  }
  return trimVocabulary(model, given, { what, columns: columnsOf({ text, pair }, true) });
}

/** Throws UNSUPPORTED for a source with integers in it: its forms would not be what they are called. */
function refuseQuantized({ integerBytes }: OpenedModel, source: string): void {
  if (integerBytes === undefined) return;
  throw new MbertError('UNSUPPORTED', `${source}: is quantized already`, {
    hint: 'name the float model that it was made of, or convert this one alone, without --layout and --forms',
  });
}

function isSame(a: string, b: string): boolean {
  return resolve(a) === resolve(b);
}

interface QuantizationParts {
  readonly options: FolderOptions;
  readonly layout: Layout;
  readonly changed: ChangedModel;
  readonly writing: FileSettings['writing'];
}

/** Settings of a form's quantization; undefined for f32. */
function quantizationOf(
  { form, target }: Pick<FormPlan, 'form' | 'target'>,
  { options, layout, changed, writing }: QuantizationParts,
): FormPlan['request'] {
  if (form === 'f32') return undefined;
  // 4-bit files may be made for another runtime than the others: the layout says which.
  const profile = form === 'w4' ? layout.w4Target : 'cpu';
  // Flags of one format are for a folder of both, as the folder's own check has said already.
  const format = layout.formats.length === 1 ? target : undefined;
  const request = requestOf({ ...options, scheme: form, target: profile }, format);
  const { fit } = changed;
  const maxDrop = fit ? dropLeft(options.maxDrop, fit) : options.maxDrop;
  return { ...request, writing, evidence: { ...request.evidence, maxDrop } };
}

async function writeForms(
  changed: ChangedModel,
  plans: readonly FormPlan[],
  settings: FileSettings,
  { formats, name, isOneFile }: Layout,
): Promise<WrittenForm[]> {
  const shared = new SharedWork();
  const references = new Map<Target, Promise<OpenReference>>();
  const written: WrittenForm[] = [];
  try {
    for (const plan of plans) {
      const run: Run = runFor(plan.target, formats, settings.run);
      run.enter(plan.form);
      const form = await writeForm(plan, {
        changed,
        settings: { ...settings, run },
        shared,
        reference(target) {
          const known = references.get(target) ?? openReference(changed.model, target, settings);
          references.set(target, known);
          return known;
        },
      });
      if (isOneFile && form.files.length > 1) {
        throw new MbertError(
          'UNSUPPORTED',
          `${plan.path}: is above 2 GB, and ${name} does not find weights beside it`,
          {
            hint: 'leave this form out of --forms: smaller ones fit into one file',
          },
        );
      }
      written.push(form);
    }
    return written;
  } finally {
    for (const reference of references.values()) await closed(reference);
  }
}

/** Closes a session that was opened; one that could not be has been told of already. */
async function closed(reference: Promise<OpenReference>): Promise<void> {
  const opened = await reference.catch(() => undefined);
  await opened?.session.close();
}
