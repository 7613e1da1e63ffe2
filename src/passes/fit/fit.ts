import { MbertError } from '../../errors.ts';
import { copyGraph } from '../../ir/copy-graph.ts';
import type { Call, Graph, Node } from '../../ir/graph.ts';
import type { Pass, PassContext, PassReport } from '../../ir/pass.ts';
import { readF32, takeF32, tensorOf } from '../../ir/tensor.ts';
import type { BatchValues, TextMatrix, TextRuns } from '../../ir/text-runs.ts';
import { type Features, featuresOf } from '../../solve/features.ts';
import { fitLayer, type LayerFit } from '../../solve/fit-layer.ts';
import { fitScores } from '../../solve/fit-scores.ts';
import { columnsOf } from '../../solve/rows.ts';
import { vectorTensor } from '../affine.ts';
import { constantLinear } from '../attention.ts';
import { addedTo, type QueryAndKey, queryAndKey, type Site, sitesOf } from './fit-sites.ts';
import { Prefix } from './prefix.ts';

/** The number of values whose features are kept: linears read a layer's input and that of its queries alternately. */
const PREPARED = 2;

/** The exponent of 10 that regularizes queries narrower or wider than the keys whose exponent they would take. */
const QUERY_RIDGE = -2;

/** A pass that replaces one op by another and fits the linears around it to text. */
export interface FittedPass extends Pass {
  /** The op that is replaced. */
  readonly converts: 'layerNorm' | 'gelu';
}

/** Channels that were taken out of a graph before it is fitted; the teacher still has them. */
export interface Cuts {
  /** The channels that are left of each linear that wrote some of them, by name. */
  readonly kept: ReadonlyMap<string, Int32Array>;
  /** Names of the linears that read fewer channels than the teacher's, or other values. */
  readonly readers: ReadonlySet<string>;
  /** Gives the name of the teacher's node that a node is fitted to. Default: the same. */
  readonly teacherName?: (name: string) => string;
}

/** Builds a fitted pass from its name, its summary and the op that it converts. */
export function fittedPass(pass: Omit<FittedPass, 'run' | 'keeps'>): FittedPass {
  const fitted: FittedPass = {
    ...pass,
    keeps: 'shapes',
    async run(graph, context) {
      const [report] = await fitTogether(graph, [fitted], context);
      return report as PassReport;
    },
  };
  return fitted;
}

/**
 * Runs passes in one sweep over the nodes, in the order in which values are computed. At each node that is converted,
 * and at each linear that follows, a linear is fitted so that the converted network, run up to there, gives the
 * teacher's values at the same place: later layers make up for the errors of earlier ones. Throws USAGE without text to
 * fit to.
 */
export async function fitTogether(
  graph: Graph,
  passes: readonly FittedPass[],
  context: PassContext & {
    readonly cuts?: Cuts | undefined;
    /** Whether what ends at a node is fitted: for a part of a graph. Default: everywhere. */
    readonly fits?: ((end: string) => boolean) | undefined;
  },
  progress: (done: number, total: number) => void = () => undefined,
): Promise<(PassReport & { readonly name: string })[]> {
  const { runs } = context;
  if (runs === undefined) throw noText(String(passes[0]?.name));
  const converted = new Set(passes.map(({ converts }) => converts as string));
  const { fits = () => true } = context;
  const sites = sitesOf(graph, (node) => converted.has(node.op) && !context.keeps(node)).filter((site) =>
    fits(endOf(site).name),
  );
  const sweep = new Sweep(graph, context.teacher ?? copyGraph(graph), runs, context.cuts);
  const counts = { activation: 0, norm: 0, linear: 0, query: 0 };
  for (const [i, site] of sites.entries()) {
    await sweep.visit(site);
    counts[site.kind]++;
    progress(i + 1, sites.length);
  }
  return passes.map(({ name, converts }) => ({
    name,
    rewrites: converts === 'gelu' ? counts.activation : counts.norm,
    declined: [],
  }));
}

/** The node at which a site is fitted. */
function endOf(site: Site): Node {
  if (site.kind === 'query') return site.scores;
  return site.kind === 'activation' ? site.node : site.end;
}

const NO_CUTS: Cuts = { kept: new Map(), readers: new Set() };

/** The USAGE error for a pass that is fitted, where there is no text. */
export function noText(pass: string): MbertError {
  return new MbertError('USAGE', `${pass}: is fitted to text, and there is none here`, {
    hint: 'mbert convert --passes LIST --calibrate FILE fits the model; other commands take what it writes',
  });
}

/** The fit of a whole graph, site by site. */
class Sweep {
  readonly graph: Graph;
  readonly runs: TextRuns;
  readonly student: Prefix;
  readonly teacher: Prefix;
  /** The teacher's nodes by name: each is the twin of the student's node that had the name at first. */
  readonly twins = new Map<string, Node>();
  /** The exponent of 10 that regularized the last linear of each size, `in out`, best. */
  readonly ridges = new Map<string, number>();
  /** The values that linears read last, with their features. */
  readonly prepared: { readonly node: Node; readonly features: Features }[] = [];
  /** Whether a node has been converted yet: before that the student computes what the teacher does. */
  hasChanged = false;
  readonly cuts: Cuts;

  constructor(graph: Graph, teacher: Graph, runs: TextRuns, cuts: Cuts = NO_CUTS) {
    this.graph = graph;
    this.runs = runs;
    this.cuts = cuts;
    this.student = new Prefix(graph, runs);
    this.teacher = new Prefix(teacher, runs);
    for (const node of teacher.nodes()) this.twins.set(node.name, node);
  }

  async visit(site: Site): Promise<void> {
    this.hasChanged ||= 'writer' in site && site.writer !== null && this.cuts.readers.has(site.writer.name);
    if (site.kind === 'activation') {
      this.graph.replace(site.node, () => this.graph.add('relu', site.node.inputs, {}, site.node.name));
    } else if (site.kind === 'norm') await this.#convertNorm(site);
    else if (this.hasChanged) await (site.kind === 'query' ? this.#refitQuery(site) : this.#refit(site));
    this.hasChanged ||= site.kind === 'activation' || site.kind === 'norm';
  }

  async #convertNorm({ node, end, writer }: Site & { readonly kind: 'norm' }): Promise<void> {
    const fit = await this.#fit(end, node.name, writer, true);
    const change = fit.change && divided(fit.change, fit.gain);
    if (writer) this.#changeLinear(writer, change, undefined);
    const { graph } = this;
    const [x, gamma, beta] = node.inputs as readonly [Node, Node, Node];
    graph.replace(node, () => {
      const gain = graph.constant(vectorTensor(fit.gain), gamma.name);
      const offset = graph.constant(vectorTensor(fit.offset), beta.name);
      return graph.add('noNorm', [x, gain, offset], {}, node.name);
    });
  }

  async #refit({ end, writer }: Site & { readonly kind: 'linear' }): Promise<void> {
    const fit = await this.#fit(end, end.name, writer, false);
    if (fit.change) this.#changeLinear(writer, fit.change, fit.offset);
  }

  async #refitQuery({ scores, query: queryName, key: keyName, heads, scale }: QueryAndKey): Promise<void> {
    const { graph, student, teacher, runs } = this;
    const linears = queryAndKey(graph, scores);
    if (linears === null) return;
    const [query, key] = linears;
    const x = query.inputs[0] as Node;
    const values = await student.compute([x, query, key], query);
    const twins = [this.#twinOf(queryName), this.#twinOf(keyName)] as const;
    const teacherValues = await teacher.compute(twins);
    const matrix = (from: ReadonlyMap<Node, BatchValues>, node: Node) => runs.matrixOf(from.get(node) as BatchValues);
    const [teacherQ, teacherK] = [matrix(teacherValues, twins[0]), matrix(teacherValues, twins[1])];
    const features = await this.#featuresOf(x, values.get(x) as BatchValues);
    const fit = await fitScores(
      {
        features,
        student: { q: matrix(values, query), k: matrix(values, key), heads, scale },
        teacher: { q: this.#likeStudent(queryName, teacherQ), k: this.#likeStudent(keyName, teacherK), heads, scale },
        ridge: this.ridges.get(`${features.h.columns} ${query.type.shape.at(-1)}`) ?? QUERY_RIDGE,
      },
      runs,
    );
    if (fit) this.#changeLinear(query, fit.change, fit.offset);
  }

  /** Fits the values of `end` to those of the teacher's node `target`. */
  async #fit(end: Node, target: string, writer: Call<'linear'> | null, hasGain: boolean): Promise<LayerFit> {
    const { student, teacher, runs } = this;
    // Addends are computed here so that they are kept: nodes further on read them again.
    const nodes = writer ? [writer.inputs[0] as Node, ...addedTo(writer, end), end] : [end];
    const values = await student.compute(nodes, end);
    const twin = this.#twinOf(target);
    const teacherValues = await teacher.compute([twin]);
    const z = runs.matrixOf(values.get(end) as BatchValues);
    const y = this.#likeStudent(writer?.name ?? target, runs.matrixOf(teacherValues.get(twin) as BatchValues));
    const x = writer?.inputs[0];
    const features = x && (await this.#featuresOf(x, values.get(x) as BatchValues));
    const size = `${features?.h.columns} ${z.columns}`;
    const fit = await fitLayer(
      {
        features,
        z,
        y,
        hasGain,
        start: this.ridges.get(size),
      },
      runs,
    );
    if (fit.ridge !== undefined) this.ridges.set(size, fit.ridge);
    return fit;
  }

  /**
   * Prepares a value for the linears that read it. Several may read one value: the products of its columns are for all
   * of them.
   */
  async #featuresOf(node: Node, values: BatchValues): Promise<Features> {
    const earlier = this.prepared.find((entry) => entry.node === node);
    if (earlier) return earlier.features;
    const features = await featuresOf(this.runs.matrixOf(values), this.runs);
    this.prepared.unshift({ node, features });
    this.prepared.length = Math.min(this.prepared.length, PREPARED);
    return features;
  }

  /** The columns of the teacher's values that the linear `name` of the student still writes. */
  #likeStudent(name: string, matrix: TextMatrix): TextMatrix {
    const kept = this.cuts.kept.get(name);
    return kept ? { ...matrix, columns: kept.length, values: columnsOf(matrix, kept) } : matrix;
  }

  #twinOf(name: string): Node {
    const twin = this.twins.get(this.cuts.teacherName?.(name) ?? name);
    if (twin === undefined) throw new MbertError('INVALID_GRAPH', `${name}: the teacher has no such node`);
    return twin;
  }

  /** Gives a linear the weight W + change and the bias b + offset. */
  #changeLinear(node: Call<'linear'>, change: Float64Array | undefined, offset: Float64Array | undefined): void {
    const linear = constantLinear(node);
    if (!linear || change === undefined) return;
    const { graph } = this;
    const weight = takeF32(linear.weight.tensor);
    for (let i = 0; i < weight.length; i++) weight[i] = (weight[i] as number) + (change[i] as number);
    const bias = linear.bias ? readF32(linear.bias.tensor) : new Float32Array(linear.weight.tensor.shape[0] as number);
    const moved = bias.map((value, i) => value + (offset ? (offset[i] as number) : 0));
    graph.replace(node, () => {
      const inputs = [
        linear.x,
        graph.constant(tensorOf('f32', linear.weight.tensor.shape, weight), linear.weight.name),
      ];
      if (linear.bias || offset) {
        inputs.push(graph.constant(tensorOf('f32', [moved.length], moved), linear.bias?.name ?? `${node.name}.bias`));
      }
      return graph.add('linear', inputs, node.attrs, node.name);
    });
  }
}

/** Divides each row of D [out, in] by its channel's gain. */
function divided(change: Float64Array, gain: Float64Array): Float64Array {
  const width = change.length / gain.length;
  return change.map((value, i) => value / (gain[Math.floor(i / width)] as number));
}
