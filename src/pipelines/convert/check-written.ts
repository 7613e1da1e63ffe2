import { basename } from 'node:path';
import type { Graph } from '../../ir/graph.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import type { PassChoice } from '../../options/passes.ts';
import { type Run, unobserved } from '../../options/run.ts';
import type { ShapeOptions } from '../../options/shape.ts';
import type { Writing } from '../../options/writing.ts';
import type { Target } from '../../passes/index.ts';
import type { RuntimeSession } from '../../runtimes/runtime.ts';
import { bytesOf, exportGraph } from '../write/export-graph.ts';
import { addProbabilities } from '../write/outputs.ts';
import type { WritePlan } from '../write/plans.ts';
import { prepare } from '../write/prepare.ts';
import { twinShape } from '../write/twin.ts';
import type { VerifyOptions, WrittenVerification } from './verify-written.ts';

/** Settings that all files of a call share. */
export interface FileSettings {
  readonly shape: ShapeOptions;
  readonly passes: PassChoice;
  readonly writing: Writing;
  readonly run: Run;
}

/** What a file is compared with. */
interface Reference {
  readonly graph: Graph;
  /** Path of the source, where that file itself is run. */
  readonly source: string | undefined;
}

/** The same in its runtime, for as many files as are compared with it. */
export interface OpenReference extends Reference {
  readonly session: RuntimeSession;
}

function referenceOf(
  model: OpenedModel,
  target: Target,
  { writing }: FileSettings,
  graph = model.asComputed?.() ?? model.reference(),
): Reference {
  const isSoftened = writing.softmax && target === 'tflite';
  if (isSoftened) addProbabilities(graph, model);
  return { graph, source: isSoftened ? undefined : model.runnable };
}

/** Opens what files of this format are compared with; the caller closes its session. */
export async function openReference(
  model: OpenedModel,
  target: Target,
  settings: FileSettings,
): Promise<OpenReference> {
  const reference = referenceOf(model, target, settings);
  const { loadSource } = await import('../../opened/load-source.ts');
  const { session } = await loadSource(reference.source, reference.graph);
  return { ...reference, session };
}

/** Compares a written file with its source, on seeded token sequences. */
export async function verifyWritten(
  model: OpenedModel,
  plan: WritePlan,
  settings: FileSettings,
  opened?: OpenReference,
): Promise<WrittenVerification> {
  const { writing, run } = settings;
  run.progress('verifying');
  const { graph, source } = opened ?? referenceOf(model, plan.target, settings);
  const { verifyFile } = await import('./verify-written.ts');
  const options: VerifyOptions = {
    source,
    reference: graph,
    session: opened?.session,
    against: model.applied === undefined ? 'source' : 'fitted graph',
    written: await runnableFile(model, plan, settings),
    name: plan.path,
    task: model.task,
    logitsKind: model.logitsKind,
    dtype: writing.dtype,
    maxPositions: model.maxPositions,
    pad: model.pad,
    kept: model.kept,
    dropsTokenTypes: writing.dropTokenTypes,
  };
  const found = await verifyFile(options);
  if (found.ok || model.asComputed === undefined) return found;
  const masked = referenceOf(model, plan.target, settings, model.reference());
  const { ok } = await verifyFile({ ...options, reference: masked.graph, session: undefined });
  return { ...found, seesPadding: ok };
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
