import type { Call, Constant } from '../../ir/graph.ts';
import { sizeOf } from '../../ir/shape.ts';
import { byteLength } from '../../ir/tensor.ts';
import { within } from '../../options/run.ts';
import type { Plan } from '../../quantization/plan.ts';
import { weightOptionsOf } from '../../quantization/plan-numbers.ts';
import { commonRows, rowErrorBytes } from '../../quantization/row-errors.ts';
import { hasWeight, type Settings, type SettingsMap, storedPlace } from '../../quantization/settings.ts';
import type { WeightOptions } from '../../quantization/weights.ts';
import {
  type CalibratedValues,
  type DecideOptions,
  type Decision,
  switchOptionsOf,
  type WidenedSite,
} from './decision.ts';
import { withSwitchedModel } from './switched-model.ts';

/** Rows that each linear is measured on: its noise is compared with that of others on the same texts. */
const MEASURED_ROWS = 8;

/** Bytes that a file takes besides its constants: MiniLM's nodes and names take 40 KB, those of 24 layers 200. */
const BYTES_PER_NODE = 300;

/**
 * Chooses the linears of a 4-bit model that get 8 bits, where the target computes both in blocks: by default those that
 * make more noise for their bytes than all of them together; with a limit on the size as many as fit, those first that
 * make most. Nodes in `fixed` stay as they are.
 */
export async function chooseBits(
  plan: Plan,
  calibrated: CalibratedValues,
  fixed: (node: Call) => boolean,
  options: DecideOptions,
): Promise<readonly WidenedSite[]> {
  const { request, samples, scan, maxSize } = options;
  if (request.scheme !== 'w4' || plan.blocks?.w8 === undefined || !scan || samples.validation.length === 0) return [];
  const nodes = [...plan.settings.keys()].filter(
    (node) => hasWeight(node) && plan.settings.get(node)?.scheme === 'w4' && !fixed(node),
  );
  if (nodes.length === 0) return [];
  const sites = await measured(plan, calibrated, nodes, options);
  const byGain = sites.toSorted((a, b) => b.noise * a.addedBytes - a.noise * b.addedBytes);
  if (maxSize !== undefined) return fitting(byGain, maxSize - storedBytes(plan, calibrated.tokenCounts));
  const noise = sites.reduce((sum, site) => sum + site.noise, 0);
  const bytes = sites.reduce((sum, site) => sum + site.addedBytes, 0);
  return byGain.filter((site) => site.noise * bytes > noise * site.addedBytes);
}

/** The settings with these linears in 8 bits, which plain rounding serves well enough. */
export function withWidened(settings: SettingsMap, sites: readonly WidenedSite[]): SettingsMap {
  const changed = new Map(settings);
  for (const { node } of sites) changed.set(node, widened(settings.get(node) as Settings));
  return changed;
}

/** A decision in which only these of its widened linears keep their 8 bits. */
export function narrowed(decision: Decision, sites: readonly WidenedSite[]): Decision {
  const settings = new Map(decision.settings);
  for (const { node, packed } of decision.widened) settings.set(node, packed);
  return { ...decision, settings: withWidened(settings, sites), widened: sites };
}

function widened(settings: Settings): Settings {
  return { ...settings, scheme: 'dynamic', rounding: 'nearest' };
}

/** The sites that fit into so many bytes, in order; one that is too large lets smaller ones behind it in. */
export function fitting(sites: readonly WidenedSite[], bytes: number): WidenedSite[] {
  let left = bytes;
  return sites.filter(({ addedBytes }) => {
    const fits = addedBytes <= left;
    if (fits) left -= addedBytes;
    return fits;
  });
}

/** Measures each linear on its own, between its float weight and its integers. */
function measured(plan: Plan, calibrated: CalibratedValues, nodes: readonly Call[], options: DecideOptions) {
  const switched = switchOptionsOf(plan, calibrated, options);
  const rows = switched.rows.slice(0, MEASURED_ROWS);
  const groups = nodes.map((node) => [node]);
  const progress = within(options.run, 'measuring linears');
  return withSwitchedModel({ ...switched, rows, groups, switchesWeights: true }, async (model) => {
    const sites: WidenedSite[] = [];
    for (const [i, node] of nodes.entries()) {
      const { noiseRatio } = await model.measure([i + 1], 'weights');
      const packed = plan.settings.get(node) as Settings;
      sites.push({ node, packed, noise: noiseRatio, addedBytes: addedBytes(plan, node) });
      progress(i + 1, nodes.length);
    }
    return sites;
  });
}

function addedBytes(plan: Plan, node: Call): number {
  const wide = new Map(plan.settings).set(node, widened(plan.settings.get(node) as Settings));
  return weightBytes({ ...plan, settings: wide }, node) - weightBytes(plan, node);
}

/** Bytes of a weight or table as the plan stores it, without those of a float. */
function weightBytes(plan: Plan, node: Call): number {
  const weight = node.inputs[storedPlace(node) ?? 1] as Constant;
  const options = weightOptionsOf(plan, new Map(), node, weight);
  if (options === undefined) return byteLength('f32', weight.tensor.shape);
  return byteLength(options.dtype, weight.tensor.shape) + stepBytes(options, weight.tensor.shape);
}

function stepBytes(options: WeightOptions, shape: readonly number[]): number {
  const { dtype, granularity, blockSize } = options;
  const scales = granularity === 'block' ? sizeOf(shape) / (blockSize as number) : (shape[0] as number);
  // Scales of blocks are halves.
  const scaleBytes = granularity === 'block' ? 2 : 4;
  return scales * scaleBytes + (dtype === 'u4' ? scales / 2 : 0);
}

/** Bytes of the file of a plan, as near as can be told before it is written. */
function storedBytes(plan: Plan, tokenCounts: Float64Array | undefined): number {
  const stored = new Map<Constant, number>();
  let total = 0;
  for (const node of plan.graph.nodes()) {
    total += BYTES_PER_NODE;
    if (node.op === 'constant' && !stored.has(node)) stored.set(node, byteLength('f32', node.tensor.shape));
    if (node.op === 'input' || node.op === 'constant' || !plan.settings.has(node)) continue;
    const weight = node.inputs[storedPlace(node) ?? 1] as Constant;
    stored.set(weight, weightBytes(plan, node));
    const options = weightOptionsOf(plan, new Map(), node, weight);
    const rows = options && tokenCounts && commonRows(node, options, tokenCounts);
    if (rows) total += rowErrorBytes(weight.tensor.shape, rows.length, options.blockSize as number);
  }
  for (const bytes of stored.values()) total += bytes;
  return total;
}
