import type { Call, Node } from '../ir/graph.ts';
import { absMax, type Statistics } from '../ir/statistics.ts';
import type { Plan } from './plan.ts';
import { hasWeight } from './settings.ts';

/** A linear that may be kept in higher precision: its integers can be switched off on their own. */
export interface Site {
  readonly node: Call;
  /** The largest max |x| / rms among the values that it reads and writes as integers: how large outliers are. */
  readonly peak: number;
  /** The bytes that the weight takes in f32. */
  readonly floatBytes: number;
}

/** Lists every linear of a plan that computes on integers, in graph order. */
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

/** The peak of a value; 1 for one that the plan keeps float. */
function peakOf(node: Node, { stored, copies }: Plan, statistics: Statistics): number {
  const values = stored.get(node) ?? copies.get(node);
  if (!values) return 1;
  return Math.max(1, ...values.members.map(({ name }) => peak(statistics.get(name))));
}

function peak(values: { readonly min: number; readonly max: number; readonly rms: number } | undefined): number {
  return values && values.rms > 0 ? absMax(values) / values.rms : 1;
}

/**
 * The least peak of a site that is measured. Below it eight bits cannot hurt: the values of trained models that they
 * hurt have 16 to 84, most others 5 to 10. A few harmless sites above it cost a measurement each.
 */
const OUTSTANDING_PEAK = 12;

/** The largest number of sites that are measured, so that a scan takes seconds, not minutes. */
const MOST_SITES = 16;

/** Selects the sites whose values have large outliers, the largest first. */
export function outstandingSites(sites: readonly Site[]): Site[] {
  const outstanding = sites.filter(({ peak }) => peak >= OUTSTANDING_PEAK);
  return outstanding.sort((a, b) => b.peak - a.peak).slice(0, MOST_SITES);
}

/** A site with the noise that rounding it alone makes in the answers: Σ error² / Σ answer². */
export interface MeasuredSite extends Site {
  readonly noise: number;
}

/** The share of the noise of all other values above which a site is kept in higher precision. */
const TOLERATED_SHARE = 1 / 7;

/** Whether noise is large enough to do something about it, `rest` being the noise of all other values. */
export function isTangible(noise: number, rest: number): boolean {
  return noise > TOLERATED_SHARE * rest;
}

/**
 * Selects the sites to keep in higher precision: those whose own noise is a tangible share of the noise of all others
 * together, which nothing can be done about. `rest` is the noise of everything but the measured sites.
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
