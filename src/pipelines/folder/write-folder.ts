import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { MbertError } from '../../errors.ts';
import { readWhole, writeWhole } from '../../io/files.ts';
import { openModel } from '../../opened/open-model.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
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
import { logitsWarnings } from '../write/outputs.ts';
import { refuseSource, replacedFiles } from '../write/replaced-files.ts';
import { vocabularyWarnings } from '../write/vocabulary.ts';
import type { Layout, SideFile } from './layout.ts';
import { layoutNamed } from './layouts/index.ts';
import { manifestPath, manifestText } from './manifest.ts';
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
  if (forms.every((form) => form === 'f32')) refuseWithoutChange(passes, options);
  const run = startRun(options);
  run.plan([
    'read',
    ...(passes.changing.length > 0 ? ['change'] : []),
    ...layout.formats.flatMap((target) => forms.map((form) => stageOf(target, form))),
  ]);
  run.progress('reading');
  const opened = await openModel(options.source, { ...options, observers: run.observers });
  try {
    refuseQuantized(opened, options.source);
    const { sequenceLength, batch, choices } = options;
    const shape = { sequenceLength, batch, choices };
    const writing = layout.settle({ model: opened, shape, writing: given });
    const request = { model: opened, shape, writing };
    const sideFiles = layout.sideFiles(request);
    const warnings = vocabularyWarnings(opened, writing.tokenizer, layout.formats);
    const { formats: targets } = layout;
    const evidence = options;
    run.enter('change');
    const changed = await changeFunction(opened, { passes, targets, evidence, tokenizer: writing.tokenizer, run });
    if (changed.fit) options.changed?.(changed.fit);
    const plans = targets.flatMap((target) =>
      forms.map((form): FormPlan => {
        const { stem, openedBy } = layout.fileOf(form, forms, request);
        const path = join(options.output, `${stem}.${target}`);
        return {
          form,
          target,
          path,
          openedBy,
          request: quantizationOf(form, target, { options, layout, changed, writing }),
        };
      }),
    );
    const copies = sideFiles.filter(
      ({ path, from }) => from === undefined || !isSame(from, join(options.output, path)),
    );
    refuseSource(plans);
    const isForced = options.force ?? false;
    for (const note of replacedFiles(plans, isForced)) run.note(note);
    refuseForeign(options.output, copies, isForced);
    const manifest = manifestPath(options.output);
    const outputs = [...plans, ...copies.map(({ path }) => ({ path: join(options.output, path) })), { path: manifest }];
    const results = await allOrNothing(outputs, async () => {
      const written = await writeForms(changed, plans, { shape, passes, writing, run }, layout);
      for (const file of copies) await writeWhole(join(options.output, file.path), file.bytes);
      const parts = { folder: options.output, layout: layout.name, model: opened, forms: written, sideFiles };
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
      sideFiles: sideFiles.map(({ path, from }) => ({ path, from })),
    };
  } finally {
    opened.close();
  }
}

/** Throws USAGE for options that contradict each other. */
function refuseContradictions(options: FolderOptions, forms: readonly FormName[], { formats }: Layout): void {
  const { output, calibrate, dumpPasses } = options;
  if (/\.(onnx|tflite)$/i.test(output)) {
    throw new MbertError('USAGE', `--output: ${output}: --layout and --forms write a folder`, {
      hint: `name one, as ${dirname(output) === '.' ? 'model' : dirname(output)}/`,
    });
  }
  if (forms.includes('int8') && calibrate === undefined) {
    throw new MbertError('USAGE', '--forms int8: needs --calibrate FILE', {
      hint: 'a hundred lines of text as the model will see it; the form dynamic needs none',
    });
  }
  if (dumpPasses !== undefined && forms.length * formats.length > 1) {
    throw new MbertError('USAGE', '--dump-passes: is for one form', { hint: 'name one with --forms' });
  }
}

/** Throws UNSUPPORTED for a source with integers in it: its forms would not be what they are called. */
function refuseQuantized({ integerBytes }: OpenedModel, source: string): void {
  if (integerBytes === undefined) return;
  throw new MbertError('UNSUPPORTED', `${source}: is quantized already`, {
    hint: 'name the float model that it was made of, or convert this one alone, without --layout and --forms',
  });
}

/**
 * Throws USAGE for a file beside the models that somebody else wrote and that would become another one, unless replacing
 * was asked for. A folder with a manifest is mbert's own.
 */
function refuseForeign(folder: string, copies: readonly SideFile[], isForced: boolean): void {
  if (isForced || existsSync(manifestPath(folder))) return;
  for (const { path, bytes } of copies) {
    const target = join(folder, path);
    if (!existsSync(target) || Buffer.compare(readWhole(target), bytes) === 0) continue;
    throw new MbertError('USAGE', `${target}: exists already, and mbert did not write it`, {
      hint: 'name another folder with --output, or say --force to replace it',
    });
  }
}

function isSame(a: string, b: string): boolean {
  return resolve(a) === resolve(b);
}

/** Settings of a form's quantization; undefined for f32. */
function quantizationOf(
  form: FormName,
  target: Target,
  {
    options,
    layout,
    changed,
    writing,
  }: {
    readonly options: FolderOptions;
    readonly layout: Layout;
    readonly changed: ChangedModel;
    readonly writing: FileSettings['writing'];
  },
): FormPlan['request'] {
  if (form === 'f32') return undefined;
  // 4-bit files may be made for another runtime than the others: the layout says which.
  const profile = form === 'w4' ? layout.w4Target : 'cpu';
  const request = requestOf({ ...options, scheme: form, target: profile }, target);
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
