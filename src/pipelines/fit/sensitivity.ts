import { onnx } from '../../exporters/onnx.ts';
import { copyGraph } from '../../ir/copy-graph.ts';
import type { Call, Graph, Node } from '../../ir/graph.ts';
import { tensorOf } from '../../ir/tensor.ts';
import type { BatchValues, Matrix, TextRuns } from '../../ir/text-runs.ts';
import type { TokenRow } from '../../samples/feeds.ts';
import { Comparison } from '../evaluate/answers.ts';
import { type FeedOptions, loadModel, withFolder } from '../evaluate/loaded-model.ts';

/** A norm or an activation that could stay as it is. */
export interface SensitiveSite {
  readonly name: string;
  readonly op: 'layerNorm' | 'gelu';
  /** Noise of the answers with this one alone replaced: Σ error² / Σ answer². */
  readonly noise: number;
}

/** Number of sites whose values are held at once: each may be some megabytes. */
const CHUNK = 16;

/**
 * Measures each norm and activation alone: in the original network it gets a channel-wise fitted stand-in, g∘x + c or
 * g∘relu(x) + c, and the error of the answers to `rows` is measured. Those with the most noise for the time that
 * replacing them saves come first. One model with a switch for each serves all of them.
 */
export async function rankSites(
  teacher: Graph,
  candidates: (node: Node) => boolean,
  runs: TextRuns,
  options: FeedOptions & {
    readonly rows: readonly TokenRow[];
    readonly progress: (done: number, total: number) => void;
  },
): Promise<SensitiveSite[]> {
  const graph = copyGraph(teacher);
  const sites = graph.nodes().filter((node): node is Call<'layerNorm' | 'gelu'> => candidates(node));
  const names = new Map(sites.map((site) => [site, { name: site.name, op: site.op, cost: costOf(site) }]));
  const fits = await fitChannels(graph, sites, runs);
  const switches = sites.map((site, i) => {
    const switched = graph.input(`switch_${i}`, { dtype: 'f32', shape: [1] });
    putSwitch(graph, site, fits[i] as ChannelFit, switched);
    return switched.name;
  });
  return withFolder(async (write) => {
    const path = await write(onnx.write(graph, { ...onnx.defaults, name: 'model.onnx' }));
    const model = await loadModel(path, teacher, options);
    try {
      const set = (on: number) =>
        new Map(switches.map((name, i) => [name, tensorOf('f32', [1], Float32Array.of(i === on ? 1 : 0))]));
      const expected = [];
      for (const row of options.rows) expected.push(await model.answer(row, set(-1)));
      const measuredSites: (SensitiveSite & { readonly cost: number })[] = [];
      for (const [i, site] of sites.entries()) {
        const comparison = new Comparison();
        for (const [n, row] of options.rows.entries()) {
          comparison.add(expected[n] as (typeof expected)[number], await model.answer(row, set(i)));
        }
        measuredSites.push({
          ...(names.get(site) as { name: string; op: 'layerNorm' | 'gelu'; cost: number }),
          noise: comparison.noiseRatio,
        });
        options.progress(i + 1, sites.length);
      }
      return measuredSites.toSorted((a, b) => b.noise / b.cost - a.noise / a.cost);
    } finally {
      await model.close();
    }
  });
}

/**
 * The time that replacing a node saves, up to a factor: its channels, as all of them take about the same for each
 * number.
 */
function costOf({ type }: Node): number {
  const channels = type.shape.at(-1);
  return typeof channels === 'number' ? channels : 1;
}

/** Channel-wise stand-in for a norm or activation: y ≈ gain∘z + offset. */
interface ChannelFit {
  readonly gain: Float32Array;
  readonly offset: Float32Array;
}

/** Fits the stand-ins of all sites on the calibration texts. */
async function fitChannels(graph: Graph, sites: readonly Call[], runs: TextRuns): Promise<ChannelFit[]> {
  const fits: ChannelFit[] = [];
  for (let from = 0; from < sites.length; from += CHUNK) {
    const part = sites.slice(from, from + CHUNK);
    const values = await runs.compute(graph, [...new Set(part.flatMap((site) => [site, inputOf(site)]))], new Map());
    for (const site of part) {
      const matrix = (node: Node) => runs.matrixOf(values.get(node) as BatchValues);
      fits.push(fitChannel(matrix(inputOf(site)), matrix(site), site.op === 'gelu'));
    }
  }
  return fits;
}

function inputOf(site: Node): Node {
  return site.inputs[0] as Node;
}

/** Fits y ≈ gain∘z + offset by least squares in each channel; for an activation, z is rectified first. */
function fitChannel(z: Matrix, y: Matrix, isActivation: boolean): ChannelFit {
  const { rows, columns } = z;
  const at = isActivation ? (i: number) => Math.max(z.values[i] as number, 0) : (i: number) => z.values[i] as number;
  const gain = new Float32Array(columns);
  const offset = new Float32Array(columns);
  for (let c = 0; c < columns; c++) {
    let [sz, sy, zz, zy] = [0, 0, 0, 0];
    for (let row = 0, i = c; row < rows; row++, i += columns) {
      const [a, b] = [at(i), y.values[i] as number];
      sz += a;
      sy += b;
      zz += a * a;
      zy += a * b;
    }
    const spread = zz - (sz * sz) / rows;
    // A channel that does not vary is its mean.
    gain[c] = spread > 1e-12 * zz ? (zy - (sz * sy) / rows) / spread : 0;
    offset[c] = (sy - (gain[c] as number) * sz) / rows;
  }
  return { gain, offset };
}

/** Replaces a site's value y by y + switch · (stand-in - y). */
function putSwitch(graph: Graph, site: Call, { gain, offset }: ChannelFit, switched: Node): void {
  const x = inputOf(site);
  graph.replace(site, () => {
    const z = site.op === 'gelu' ? graph.add('relu', [x]) : x;
    const vector = (values: Float32Array) => graph.constant(tensorOf('f32', [values.length], values));
    const instead = graph.add('noNorm', [z, vector(gain), vector(offset)]);
    return graph.add('add', [site, graph.add('mul', [graph.add('sub', [instead, site]), switched])]);
  });
}
