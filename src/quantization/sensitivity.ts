import type { Call, Node } from '../ir/graph.ts';
import { absMax, type Statistics } from '../ir/statistics.ts';
import type { Plan } from './plan.ts';
import { hasWeight } from './settings.ts';

/** A linear that may be kept in higher precision: its integers can be switched off on their own. */
export interface Site {
  readonly node: Call;
  /** The largest max |x| / rms among what it reads and writes as integers: how far outliers stand out. */
  readonly peak: number;
  /** Bytes that the weight takes in f32, and now. */
  readonly floatBytes: number;
}

/** Every linear of a plan that computes on integers, in graph order. */
export function sitesOf(plan: Plan, statistics: Statistics): Site[] {
  const sites: Site[] = [];
  for (const node of plan.graph.nodes()) {
    if (!plan.integer.has(node) || !hasWeight(node)) continue;
    const weight = node.inputs[1] as Node & { readonly op: 'constant' };
    const values = plan.storedFor.has(node) ? [node.inputs[0] as Node] : [node.inputs[0] as Node, node];
    const peaks = values.map((value) => peakOf(value, plan, statistics));
    const floatBytes = 4 * weight.tensor.shape.reduce((size, dim) => size * dim, 1);
    sites.push({ node, peak: Math.max(...peaks), floatBytes });
  }
  return sites;
}

/** 1 for a value that the plan keeps float. */
function peakOf(node: Node, { stored, copies }: Plan, statistics: Statistics): number {
  const values = stored.get(node) ?? copies.get(node);
  if (!values) return 1;
  return Math.max(1, ...values.members.map(({ name }) => peak(statistics.get(name))));
}

function peak(found: { readonly min: number; readonly max: number; readonly rms: number } | undefined): number {
  return found && found.rms > 0 ? absMax(found) / found.rms : 1;
}

/**
 * Where max/rms is below this, eight bits cannot hurt: the values of trained models that do have 16 to 84, most others 5
 * to 10. A few harmless ones above cost a look each.
 */
const OUTSTANDING_PEAK = 12;

/** A scan takes seconds, not minutes. */
const MOST_SITES = 16;

/** The sites whose values stand out, most outstanding first. */
export function outstandingSites(sites: readonly Site[]): Site[] {
  const outstanding = sites.filter(({ peak }) => peak >= OUTSTANDING_PEAK);
  return outstanding.sort((a, b) => b.peak - a.peak).slice(0, MOST_SITES);
}

/** A site with what rounding it alone does to the answers: Σ error² / Σ answer². */
export interface MeasuredSite extends Site {
  readonly noise: number;
}

/** A site is kept in higher precision where it alone has this share of the noise of all that stays. */
const TOLERATED_SHARE = 1 / 7;

/** True where noise is enough, beside that of all the rest, to do something about it. */
export function isTangible(noise: number, rest: number): boolean {
  return noise > TOLERATED_SHARE * rest;
}

/**
 * The sites to keep in higher precision: those whose own noise is a tangible share of what all others make together, which
 * nothing can be done about. `rest` is the noise of everything but the measured sites.
 */
export function sitesToKeep(measured: readonly MeasuredSite[], rest: number): MeasuredSite[] {
  const kept: MeasuredSite[] = [];
  let noise = rest + measured.reduce((sum, site) => sum + site.noise, 0);
  for (const site of measured.toSorted((a, b) => b.noise - a.noise)) {
    if (!isTangible(site.noise, noise - site.noise)) break;
    kept.push(site);
    noise -= site.noise;
  }
  return kept;
}
