import type { Call } from '../../ir/graph.ts';
import type { Statistics } from '../../ir/statistics.ts';
import {
  isTangible,
  type MeasuredSite,
  outstandingSites,
  type Site,
  sitesOf,
  sitesToKeep,
} from '../../quantization/sensitivity.ts';
import type { AgreementOf } from '../evaluate/agreement.ts';
import type { SwitchedModel, SwitchOptions } from './switched-model.ts';
import { withSwitchedModel } from './switched-model.ts';

/** One linear in a scan. */
export interface ScannedSite {
  readonly name: string;
  /** Outlier measure max |x| / rms of what the linear reads or writes as integers. */
  readonly peak: number;
  /**
   * SQNR of the answers in dB with this linear alone on integers, against none: 10·log10(Σ answer² / Σ error²).
   * Undefined where `togetherDb` was enough.
   */
  readonly sqnrDb: number | undefined;
  readonly kept: boolean;
}

/** Result of a scan of the linears with outliers. */
export interface ScanResult {
  /** The linears whose values have outliers; empty where none has, and nothing was run. */
  readonly sites: readonly ScannedSite[];
  /** SQNR of the answers in dB with all of these on integers, against none of them. */
  readonly togetherDb: number | undefined;
  /** SQNR of the answers in dB with everything else on integers, against the float model. */
  readonly restDb: number | undefined;
  /** The linears to keep in higher precision. */
  readonly keep: readonly Call[];
}

/**
 * Measures the linears whose values have outliers, and says which to keep in higher precision. Each is measured on its
 * own only where all of them together are a tangible share of the noise: the noise of one is no more than that of all.
 */
export async function scanOutliers(
  options: Omit<SwitchOptions, 'groups'>,
  statistics: Statistics,
  progress: (done: number, total: number) => void,
): Promise<ScanResult> {
  const sites = outstandingSites(sitesOf(options.plan, statistics));
  if (sites.length === 0) return { sites: [], togetherDb: undefined, restDb: undefined, keep: [] };
  return withSwitchedModel({ ...options, groups: sites.map(({ node }) => [node]) }, async (model) => {
    const rest = await model.measure([0], 'float');
    const together = await model.measure(
      sites.map((_, i) => i + 1),
      'weights',
    );
    const measuredSites = isTangible(together.noiseRatio, rest.noiseRatio)
      ? await measureSites(model, sites, progress)
      : [];
    const kept = sitesToKeep(measuredSites, rest.noiseRatio);
    const noises = new Map(measuredSites.map(({ node, noise }) => [node, noise]));
    return {
      sites: sites.map(({ node, peak }) => {
        const noise = noises.get(node);
        const sqnrDb = noise === undefined ? undefined : -10 * Math.log10(noise);
        return { name: node.name, peak, sqnrDb, kept: kept.some((site) => site.node === node) };
      }),
      togetherDb: together.sqnrDb,
      restDb: rest.sqnrDb,
      keep: kept.map(({ node }) => node),
    };
  });
}

async function measureSites(
  model: SwitchedModel,
  sites: readonly Site[],
  progress: (done: number, total: number) => void,
): Promise<MeasuredSite[]> {
  const measuredSites: MeasuredSite[] = [];
  for (const [i, site] of sites.entries()) {
    const { noiseRatio } = await model.measure([i + 1], 'weights');
    measuredSites.push({ ...site, noise: noiseRatio });
    progress(i + 1, sites.length);
  }
  return measuredSites;
}

/** A number of linears kept in higher precision with what it costs and brings. */
export interface ParetoRow {
  readonly kept: number;
  /** Extra weight bytes compared with keeping nothing. */
  readonly addedBytes: number;
  /** SQNR of the answers in dB on the validation samples, against the float model. */
  readonly sqnrDb: number;
  /** The share of answers on them that equal the float model's, 0 … 1, or what `agreementOf` says. */
  readonly agreement: number;
  /** The measure of `agreement`: the share of equal answers, the mean cosine of vectors, or the correlation of numbers. */
  readonly agreementOf: AgreementOf;
}

/** Linears in the order in which they are kept, and the effect of keeping more and more of them. */
export interface ParetoFront {
  readonly rows: readonly ParetoRow[];
  /** All linears, those that take away most noise for their bytes first: row n keeps the first `rows[n].kept`. */
  readonly order: readonly Call[];
}

/** Measures every linear on its own, then what keeping more and more of them in higher precision brings. */
export async function scanEverySite(
  options: Omit<SwitchOptions, 'groups'>,
  statistics: Statistics,
  costOf: (site: Site) => number,
  progress: (done: number, total: number) => void,
): Promise<ParetoFront> {
  const sites = sitesOf(options.plan, statistics);
  return withSwitchedModel({ ...options, groups: sites.map(({ node }) => [node]) }, async (model) => {
    const measuredSites = await measureSites(model, sites, progress);
    // Where precision costs nothing, as with dynamic linears in TFLite, only the noise counts.
    const gain = (site: MeasuredSite) => site.noise / Math.max(1, costOf(site));
    const order = measuredSites.toSorted((a, b) => gain(b) - gain(a));
    const rows: ParetoRow[] = [];
    for (const kept of steps(order.length)) {
      const off = new Set(order.slice(0, kept).map((site) => sites.findIndex(({ node }) => node === site.node) + 1));
      const on = Array.from({ length: model.groups }, (_, group) => group).filter((group) => !off.has(group));
      const { sqnrDb, agreement, agreementOf } = await model.measure(on, 'float');
      const addedBytes = order.slice(0, kept).reduce((sum, site) => sum + costOf(site), 0);
      rows.push({ kept, addedBytes, sqnrDb, agreement, agreementOf });
    }
    return { rows, order: order.map(({ node }) => node) };
  });
}

/** Numbers of linears to keep: 0, 1, 2, 3, 5, 8, … and all. Enough rows for a choice, few enough to measure. */
function steps(count: number): number[] {
  const counts = [0];
  for (let a = 1, b = 2; a < count; [a, b] = [b, a + b]) counts.push(a);
  if (count > 0) counts.push(count);
  return counts;
}
