import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeTemporaryFolder } from '../../io/temporary-folder.ts';
import type { Graph } from '../../ir/graph.ts';
import { changedModel } from '../../opened/changed-model.ts';
import type { FittedTexts } from '../../opened/fitted-texts.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import type { EvidenceOptions } from '../../options/evidence.ts';
import { passChoice } from '../../options/passes.ts';
import { type Run, unobserved } from '../../options/run.ts';
import { writingOf } from '../../options/writing.ts';
import type { Target } from '../../passes/index.ts';
import type { Scheme } from '../../quantization/settings.ts';
import { quantizeTo, requestOf } from '../quantize/quantize.ts';
import { prepare } from '../write/prepare.ts';
import { totalSize, writeModel } from '../write/write-model.ts';
import type { Block } from './blocks.ts';
import { type Storage, wideRecipe } from './storage.ts';

/** What files of one search share. */
export interface WritingContext {
  /** Format of the files. */
  readonly target: Target;
  readonly model: OpenedModel;
  readonly source: string;
  readonly blocks: readonly Block[];
  readonly evidence: Omit<EvidenceOptions, 'maxDrop'>;
  /** Texts that students are fitted to and chosen by. */
  readonly fitted: readonly FittedTexts[];
  readonly run: Run;
}

/** Texts that integers are calibrated on: as many as for `quantize`. */
const CALIBRATION_TEXTS = 128;

/** Writes a graph of the model's inputs and outputs as a file. Returns its size in bytes, external data included. */
export async function writeStudent(
  graph: Graph,
  { form, narrow }: Storage,
  path: string,
  context: WritingContext,
): Promise<number> {
  const { target, model, blocks, fitted, run } = context;
  const changed = changedModel(model, graph, ['search'], fitted);
  const quiet: Run = { ...unobserved(run), enter: () => undefined, progress: () => run.progress(`writing ${path}`) };
  if (form === 'f32' || form === 'f16') {
    const plan = { target, path };
    const writing = writingOf({ dtype: form }, path, target);
    const prepared = await prepare(changed, target, { shape: {}, passes: passChoice({}), writing, run: quiet });
    return totalSize((await writeModel(changed, prepared, { plan, writing, properties: {}, run: quiet })).files);
  }
  if (form !== 'mixed') return writeQuantized(changed, form, path, { ...context, run: quiet });
  const folder = makeTemporaryFolder('search');
  try {
    const recipe = join(folder.path, 'recipe.json');
    writeFileSync(recipe, wideRecipe(graph, blocks, narrow));
    return await writeQuantized(changed, 'w4', path, { ...context, run: quiet }, recipe);
  } finally {
    folder.remove();
  }
}

async function writeQuantized(
  model: OpenedModel,
  scheme: Scheme,
  path: string,
  { target, source, evidence, run }: WritingContext,
  recipe?: string,
): Promise<number> {
  const calibrated = scheme === 'dynamic' ? {} : { ...evidence, samples: CALIBRATION_TEXTS };
  const request = requestOf({ source, output: path, scheme, recipe, ...calibrated }, target);
  return totalSize((await quantizeTo({ model, fit: undefined }, { target, path }, request, run)).files);
}

/** Runs work with a graph's file, which is gone afterwards. */
export async function withWritten<T>(
  graph: Graph,
  storage: Storage,
  context: WritingContext,
  use: (file: { readonly path: string; readonly bytes: number }) => Promise<T>,
): Promise<T> {
  const folder = makeTemporaryFolder('search');
  try {
    const path = join(folder.path, `model.${context.target}`);
    const bytes = await writeStudent(graph, storage, path, context);
    return await use({ path, bytes });
  } finally {
    folder.remove();
  }
}
