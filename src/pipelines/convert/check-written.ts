import { basename } from 'node:path';
import type { OpenedModel } from '../../opened/opened-model.ts';
import type { PassChoice } from '../../options/passes.ts';
import { type Run, unobserved } from '../../options/run.ts';
import type { ShapeOptions } from '../../options/shape.ts';
import type { Writing } from '../../options/writing.ts';
import { bytesOf, exportGraph } from '../write/export-graph.ts';
import { addProbabilities } from '../write/outputs.ts';
import type { WritePlan } from '../write/plans.ts';
import { prepare } from '../write/prepare.ts';
import { twinShape } from '../write/twin.ts';
import type { WrittenVerification } from './verify-written.ts';

/** Settings that all files of a call share. */
export interface FileSettings {
  readonly shape: ShapeOptions;
  readonly passes: PassChoice;
  readonly writing: Writing;
  readonly run: Run;
}

/** Compares a written file with its source, on seeded token sequences. */
export async function verifyWritten(
  model: OpenedModel,
  plan: WritePlan,
  settings: FileSettings,
): Promise<WrittenVerification> {
  const { writing, run } = settings;
  run.progress('verifying');
  const reference = model.reference();
  const isSoftened = writing.softmax && plan.target === 'tflite';
  if (isSoftened) addProbabilities(reference, model);
  const { verifyFile } = await import('./verify-written.ts');
  return verifyFile({
    source: isSoftened ? undefined : model.runnable,
    reference,
    against: model.applied === undefined ? 'source' : 'fitted graph',
    written: await runnableFile(model, plan, settings),
    name: plan.path,
    dtype: writing.dtype,
    maxPositions: model.maxPositions,
    pad: model.pad,
  });
}

/** The path of the written file, or the bytes of its twin (see `twinShape`) where no runtime here takes the file. */
export async function runnableFile(
  model: OpenedModel,
  plan: WritePlan,
  settings: FileSettings,
): Promise<string | Uint8Array> {
  const shape = twinOf(model, plan, settings);
  return shape === undefined ? plan.path : writeInMemory(model, plan, { ...settings, shape });
}

export function twinOf(model: OpenedModel, { target }: WritePlan, { shape }: FileSettings): ShapeOptions | undefined {
  return twinShape(model.build(target, shape), target, model);
}

/** The bytes of a file as these settings make it, in one piece. */
export async function writeInMemory(
  model: OpenedModel,
  { target, path }: WritePlan,
  { shape, passes, writing, run }: FileSettings,
): Promise<Uint8Array> {
  const { graph } = await prepare(model, target, { shape, passes, writing, run: unobserved(run) });
  const inOneFile = { ...writing, externalData: false };
  return bytesOf(exportGraph(model, graph, { target, name: basename(path), writing: inOneFile }));
}
