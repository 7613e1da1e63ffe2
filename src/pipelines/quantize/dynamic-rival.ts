import type { Call, Graph } from '../../ir/graph.ts';
import { within } from '../../options/run.ts';
import { weightsOnly } from '../../quantization/forms/weights-only.ts';
import { isCall } from '../../quantization/plan.ts';
import { rebuild } from '../../quantization/rebuild.ts';
import type { Settings } from '../../quantization/settings.ts';
import { compareFiles } from '../evaluate/compare-files.ts';
import type { DecideOptions } from './decision.ts';

/** A static file that was written, the float file that it is compared with, and how another one is written. */
export interface StaticFile {
  readonly path: string;
  readonly floatPath: string;
  readonly float: Graph;
  readonly write: (graph: Graph) => Promise<string>;
}

/** Most samples that both files are run on: enough to tell a decibel. */
const RIVAL_SAMPLES = 32;

/** The least number of decibels by which a file is nearer to the float model that is worth words. */
const TANGIBLE_DB = 1;

/**
 * Warns where a TFLite file of calibrated ranges is further from the float model than one of dynamic linears, which has
 * the same size.
 */
export async function rivalWarnings(file: StaticFile, options: DecideOptions): Promise<string[]> {
  const { samples, feeds, run } = options;
  const rows = samples.proof.slice(0, RIVAL_SAMPLES);
  const rival = await file.write(dynamicGraph(file.float, options));
  const compared = { ...feeds, rows, labels: undefined, progress: within(run, 'comparing with dynamic linears') };
  const own = await compareFiles(file.floatPath, file.path, file.float, compared);
  const dynamic = await compareFiles(file.floatPath, rival, file.float, compared);
  if (dynamic.sqnrDb < own.sqnrDb + TANGIBLE_DB) return [];
  return [
    `--scheme dynamic: is nearer to the float model and mostly slower: ${dynamic.sqnrDb.toFixed(1)} dB on ${rows.length} ` +
      `held-out samples, int8 ${own.sqnrDb.toFixed(1)} dB`,
  ];
}

/** Stores a float graph's weights as a dynamic file has them. */
function dynamicGraph(graph: Graph, { request, keeps }: DecideOptions): Graph {
  const wanted = { ...request, scheme: 'dynamic', rounding: 'nearest' } as const;
  const settings = new Map<Call, Settings>();
  for (const node of graph.nodes()) {
    const found = isCall(node) && !keeps(node) ? weightsOnly.settingsOf(node, wanted) : undefined;
    if (found) settings.set(node as Call, found);
  }
  return rebuild(weightsOnly.plan(graph, settings, wanted), { quants: new Map() });
}
