import type { OnnxInitializer, OnnxModel, OnnxNode, OnnxValue } from '../formats/onnx.ts';
import type { Graph, Node } from '../ir/graph.ts';
import type { StatisticsRequest } from '../ir/statistics.ts';
import { integerTensor } from '../ir/tensor.ts';
import { modelOf, type TokenInputs } from './graph-session.ts';
import { layoutsOf, type TokenLayout } from './layout.ts';

/** A node that is looked at. */
export interface Probe extends TokenLayout {
  readonly request: StatisticsRequest;
  /** Place of its numbers in the vectors of all probes: one for each channel, or one for all. */
  readonly offset: number;
  readonly width: number;
  /** Name of the output with its rows, where they are needed. */
  readonly rowsOutput: string | undefined;
}

/** A model that computes the statistics of one sample. */
interface ProbedModel {
  readonly model: OnnxModel;
  /** Probes in the order of the requests. */
  readonly probes: readonly Probe[];
  /** Width of all probes together. */
  readonly width: number;
}

/** Further input of a probed model: the number of tokens that are no padding, i64[1]. */
export const VALID = 'calibration/valid';

/** Reductions of a sample with the op that does them over all axes; each is one output of all probes' numbers. */
const REDUCTIONS = {
  min: 'ReduceMin',
  max: 'ReduceMax',
  sum: 'ReduceSum',
  squares: 'ReduceSumSquare',
} as const;

export type Reduction = keyof typeof REDUCTIONS;

/** Name of a reduction's output. */
export function reductionOutput(reduction: Reduction): string {
  return named(reduction);
}

/**
 * Adds nodes to a graph's model that reduce the wanted nodes' valid rows to vectors, so that little leaves the runtime.
 */
export function probedModel(graph: Graph, requests: readonly StatisticsRequest[], inputs: TokenInputs): ProbedModel {
  const base = modelOf(
    graph,
    requests.map(({ node }) => node),
  );
  const added = new Addition(inputs.batch);
  const probes = new Map<StatisticsRequest, Probe>();
  const outputs: OnnxValue[] = [];
  let offset = 0;
  for (const group of groupsOf(requests, layoutsOf(graph, inputs))) {
    added.reduceGroup(group);
    for (const { request, layout } of group.members) {
      const isFetched = request.histogram || request.gram;
      const rowsOutput = isFetched ? added.validRows(request.node.name, request.node.name, layout) : undefined;
      if (rowsOutput !== undefined) {
        outputs.push({ name: rowsOutput, dtype: 'f32', shape: [`${rowsOutput}/count`, layout.channels] });
      }
      const width = group.isByChannel ? layout.channels : 1;
      probes.set(request, { ...layout, request, offset, width, rowsOutput });
      offset += width;
    }
  }
  for (const name of added.joinReductions()) outputs.push({ name, dtype: 'f32', shape: [1, offset] });
  const model: OnnxModel = {
    ...base,
    inputs: [...base.inputs, { name: VALID, dtype: 'i64', shape: [1] }],
    outputs,
    nodes: [...base.nodes, ...added.nodes],
    initializers: [...base.initializers, ...added.initializers],
  };
  return { model, probes: requests.map((request) => probes.get(request) as Probe), width: offset };
}

const LAST_AXIS = { axis: { int: -1 } } as const;

interface Member {
  readonly request: StatisticsRequest;
  readonly layout: TokenLayout;
}

/** Values that are reduced side by side. */
interface Group {
  readonly members: readonly Member[];
  readonly isByChannel: boolean;
}

/** Most channels of a group: 64 tokens of them are a megabyte, which stays in a core's cache. */
const GROUP_CHANNELS = 4096;

/**
 * Groups requests. By channel, values of the same rows come together: hundreds of small reductions take longer than the
 * model. A whole value is reduced alone, which is three times as fast as by channel.
 */
function groupsOf(requests: readonly StatisticsRequest[], layoutOf: (node: Node) => TokenLayout): Group[] {
  const groups: (Group & { readonly members: Member[] })[] = [];
  const open = new Map<string, { readonly members: Member[]; channels: number }>();
  for (const request of requests) {
    const { node } = request;
    const layout = layoutOf(node);
    const { shape } = node.type;
    const isByChannel = Boolean(request.channels || request.gram);
    const isWide = isByChannel && !layout.tokenAxes.includes(shape.length - 1);
    const key = isWide ? `${shape.slice(0, -1)} ${layout.tokenAxes}` : node.name;
    let group = open.get(key);
    if (group === undefined || group.channels + layout.channels > GROUP_CHANNELS) {
      group = { members: [], channels: 0 };
      open.set(key, group);
      groups.push({ members: group.members, isByChannel });
    }
    group.members.push({ request, layout });
    group.channels += layout.channels;
  }
  return groups;
}

/** Nodes and initializers that are added to a model, all under names of their own. */
class Addition {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxInitializer[] = [];
  readonly #batch: number;
  readonly #written = new Set<string>();
  /** Reduced values [1, n] of each reduction, in the order of the probes. */
  readonly #reduced = new Map<string, string[]>();

  constructor(batch: number) {
    this.#batch = batch;
  }

  /** Reduces a group to [1, channels of all] or, for one value as a whole, to [1, 1]. */
  reduceGroup({ members, isByChannel }: Group): void {
    const [first, ...others] = members as readonly [Member, ...Member[]];
    const names = members.map(({ request }) => request.node.name);
    const part = `reduced/${names[0]}`;
    const channels = members.reduce((sum, { layout }) => sum + layout.channels, 0);
    const joined = others.length === 0 ? (names[0] as string) : this.#emit(part, 'Concat', names, LAST_AXIS);
    const rows = this.validRows(part, joined, { ...first.layout, channels });
    for (const [reduction, op] of Object.entries(REDUCTIONS)) {
      const value = isByChannel
        ? this.#byChannel(`${part}/${reduction}`, op, rows)
        : this.#emit(`${part}/${reduction}`, op, [rows]);
      const list = this.#reduced.get(reduction);
      if (list) list.push(value);
      else this.#reduced.set(reduction, [value]);
    }
  }

  /** Cuts a value to [rows, channels] without padding. */
  validRows(part: string, value: string, layout: TokenLayout): string {
    const { channels, otherRows, tokenAxes, hasBatch, isFlat } = layout;
    let valid = value;
    if (isFlat) {
      const byToken = this.#integers([this.#batch, -1, otherRows * channels]);
      valid = this.#emit(`${part}/batch`, 'Reshape', [valid, byToken]);
    }
    const axes = hasBatch ? [0, ...tokenAxes] : tokenAxes;
    if (axes.length > 0) {
      const starts = this.#integers(axes.map(() => 0));
      const ends = axes.map((axis) => (hasBatch && axis === 0 ? this.#integers([1]) : VALID));
      const joined = this.#once(`ends_${axes.join('_')}`, (key) => {
        this.#emit(key, 'Concat', ends, { axis: { int: 0 } });
      });
      valid = this.#emit(`${part}/valid`, 'Slice', [valid, starts, joined, this.#integers(axes)]);
    }
    return this.#emit(`${part}/rows`, 'Reshape', [valid, this.#integers([-1, channels])]);
  }

  /** Joins the parts of each reduction to its output. */
  joinReductions(): string[] {
    return [...this.#reduced].map(([reduction, parts]) => this.#emit(reduction, 'Concat', parts, LAST_AXIS));
  }

  /**
   * Reduces over the rows. Squares are summed behind a product, as ReduceSumSquare has no fast path along this axis in
   * ONNX Runtime 1.30 and takes longer than the model. ReduceSum takes its axes as an input since opset 13, the others
   * only since 18.
   */
  #byChannel(part: string, op: string, rows: string): string {
    if (op === REDUCTIONS.squares) {
      const square = this.#emit(`${part}/product`, 'Mul', [rows, rows]);
      return this.#emit(part, REDUCTIONS.sum, [square, this.#integers([0])]);
    }
    if (op === REDUCTIONS.sum) return this.#emit(part, op, [rows, this.#integers([0])]);
    return this.#emit(part, op, [rows], { axes: { ints: [0] } });
  }

  /** Adds a node and returns the name of its value. */
  #emit(part: string, op: string, inputs: readonly string[], attributes: OnnxNode['attributes'] = {}): string {
    const name = named(part);
    this.nodes.push({ name, op, inputs, outputs: [name], attributes });
    return name;
  }

  #integers(values: readonly number[]): string {
    return this.#once(`integers_${values.join('_')}`, (part) => {
      this.initializers.push({ name: named(part), tensor: integerTensor('i64', values) });
    });
  }

  #once(part: string, make: (part: string) => void): string {
    if (!this.#written.has(part)) make(part);
    this.#written.add(part);
    return named(part);
  }
}

function named(part: string): string {
  return `calibration/${part}`;
}
