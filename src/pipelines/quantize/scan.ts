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
import type { Trial, TrialOptions } from './trial.ts';
import { withTrial } from './trial.ts';

/** What a scan found of one linear. */
export interface ScannedSite {
  readonly name: string;
  /** max |x| / rms of what it reads or writes as integers. */
  readonly peak: number;
  /** The answers with this linear alone on integers, against none: 10·log10(Σ answer² / Σ error²). Undefined where `togetherDb` was enough. */
  readonly sqnrDb: number | undefined;
  readonly kept: boolean;
}

export interface ScanResult {
  /** The linears whose values stand out; empty where none does, and nothing was run. */
  readonly sites: readonly ScannedSite[];
  /** All of these on integers, against none. */
  readonly togetherDb: number | undefined;
  /** Everything else on integers. */
  readonly restDb: number | undefined;
  readonly keep: readonly Call[];
}

/**
 * Measures the linears whose values stand out, and says which to keep in higher precision. Each is measured on its own only
 * where all of them together are a tangible share of the noise: the noise of one is no more than that of all.
 */
export async function scanOutstanding(
  options: Omit<TrialOptions, 'groups'>,
  statistics: Statistics,
  progress: (done: number, total: number) => void,
): Promise<ScanResult> {
  const sites = outstandingSites(sitesOf(options.plan, statistics));
  if (sites.length === 0) return { sites: [], togetherDb: undefined, restDb: undefined, keep: [] };
  return withTrial({ ...options, groups: sites.map(({ node }) => [node]) }, async (trial) => {
    const rest = await trial.measure([0], 'float');
    const together = await trial.measure(
      sites.map((_, i) => i + 1),
      'weights',
    );
    const measured = isTangible(together.noiseRatio, rest.noiseRatio) ? await measureSites(trial, sites, progress) : [];
    const kept = sitesToKeep(measured, rest.noiseRatio);
    const noises = new Map(measured.map(({ node, noise }) => [node, noise]));
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
  trial: Trial,
  sites: readonly Site[],
  progress: (done: number, total: number) => void,
): Promise<MeasuredSite[]> {
  const measured: MeasuredSite[] = [];
  for (const [i, site] of sites.entries()) {
    const { noiseRatio } = await trial.measure([i + 1], 'weights');
    measured.push({ ...site, noise: noiseRatio });
    progress(i + 1, sites.length);
  }
  return measured;
}

/** A number of linears kept in higher precision with what it costs and brings. */
export interface ParetoRow {
  readonly kept: number;
  /** Of weights, more than with none kept. */
  readonly addedBytes: number;
  /** On the trial samples, against the float model. */
  readonly sqnrDb: number;
  readonly agreement: number;
}

export interface ParetoFront {
  readonly rows: readonly ParetoRow[];
  /** All linears, those that bring most for their bytes first: row n keeps the first `rows[n].kept`. */
  readonly order: readonly Call[];
}

/** Measures every linear on its own, and what keeping more and more of them brings. */
export async function scanEverySite(
  options: Omit<TrialOptions, 'groups'>,
  statistics: Statistics,
  costOf: (site: Site) => number,
  progress: (done: number, total: number) => void,
): Promise<ParetoFront> {
  const sites = sitesOf(options.plan, statistics);
  return withTrial({ ...options, groups: sites.map(({ node }) => [node]) }, async (trial) => {
    const measured = await measureSites(trial, sites, progress);
    // Where precision costs nothing, as with dynamic linears in TFLite, only the noise counts.
    const gain = (site: MeasuredSite) => site.noise / Math.max(1, costOf(site));
    const order = measured.toSorted((a, b) => gain(b) - gain(a));
    const rows: ParetoRow[] = [];
    for (const kept of steps(order.length)) {
      const off = new Set(order.slice(0, kept).map((site) => sites.findIndex(({ node }) => node === site.node) + 1));
      const on = Array.from({ length: trial.groups }, (_, group) => group).filter((group) => !off.has(group));
      const { sqnrDb, agreement } = await trial.measure(on, 'float');
      const addedBytes = order.slice(0, kept).reduce((sum, site) => sum + costOf(site), 0);
      rows.push({ kept, addedBytes, sqnrDb, agreement });
    }
    return { rows, order: order.map(({ node }) => node) };
  });
}

/** 0, 1, 2, 3, 5, 8, … and all: enough rows for a choice, few enough to measure. */
function steps(count: number): number[] {
  const found = [0];
  for (let a = 1, b = 2; a < count; [a, b] = [b, a + b]) found.push(a);
  if (count > 0) found.push(count);
  return found;
}
