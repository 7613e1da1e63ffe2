import { join } from 'node:path';
import { makeTemporaryFolder } from '../../io/temporary-folder.ts';
import type { Graph } from '../../ir/graph.ts';
import { changedModel } from '../../opened/changed-model.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import type { EvidenceOptions } from '../../options/evidence.ts';
import type { FormName } from '../../options/forms.ts';
import { passChoice } from '../../options/passes.ts';
import { type Run, unobserved } from '../../options/run.ts';
import { writingOf } from '../../options/writing.ts';
import type { Target } from '../../passes/index.ts';
import { quantizeTo, requestOf } from '../quantize/quantize.ts';
import { prepare } from '../write/prepare.ts';
import { totalSize, writeModel } from '../write/write-model.ts';

/** What files of one search share. */
export interface WritingContext {
  /** Format of the files. */
  readonly target: Target;
  readonly model: OpenedModel;
  readonly source: string;
  readonly evidence: Omit<EvidenceOptions, 'maxDrop'>;
  readonly run: Run;
}

/** Texts that integers are calibrated on: as many as for `quantize`. */
const CALIBRATION_TEXTS = 128;

/** Writes a graph of the model's inputs and outputs as a file. Returns its size in bytes, external data included. */
export async function writeStudent(
  graph: Graph,
  form: FormName,
  path: string,
  { target, model, source, evidence, run }: WritingContext,
): Promise<number> {
  const plan = { target, path };
  const changed = changedModel(model, graph, ['search']);
  const quiet: Run = { ...unobserved(run), enter: () => undefined, progress: () => run.progress(`writing ${path}`) };
  if (form === 'f32' || form === 'f16') {
    const writing = writingOf({ dtype: form }, path, target);
    const prepared = await prepare(changed, target, { shape: {}, passes: passChoice({}), writing, run: quiet });
    return totalSize((await writeModel(changed, prepared, { plan, writing, properties: {}, run: quiet })).files);
  }
  const calibrated = form === 'dynamic' ? {} : { ...evidence, samples: CALIBRATION_TEXTS };
  const request = requestOf({ source, output: path, scheme: form, ...calibrated }, target);
  return totalSize((await quantizeTo({ model: changed, fit: undefined }, plan, request, quiet)).files);
}

/** Runs work with a graph's file, which is gone afterwards. */
export async function withWritten<T>(
  graph: Graph,
  form: FormName,
  context: WritingContext,
  use: (file: { readonly path: string; readonly bytes: number }) => Promise<T>,
): Promise<T> {
  const folder = makeTemporaryFolder('search');
  try {
    const path = join(folder.path, `model.${context.target}`);
    const bytes = await writeStudent(graph, form, path, context);
    return await use({ path, bytes });
  } finally {
    folder.remove();
  }
}
