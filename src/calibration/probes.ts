import type { OnnxInitializer, OnnxModel, OnnxNode, OnnxValue } from '../formats/onnx.ts';
import type { Graph } from '../graph.ts';
import type { StatisticsRequest } from '../statistics.ts';
import { integerTensor } from '../tensor.ts';
import { modelOf, type TokenInputs } from './graph-session.ts';
import { type Layout, layoutOf } from './layout.ts';

/** A node that is looked at. */
export interface Probe extends Layout {
  readonly request: StatisticsRequest;
  /** Where its channels lie in the vectors of all probes. */
  readonly offset: number;
  /** The output with its rows, where they are needed. */
  readonly rowsOutput: string | undefined;
}

/** A model that computes the statistics of one sample. */
export interface ProbedModel {
  readonly model: OnnxModel;
  /** In the order of the requests. */
  readonly probes: readonly Probe[];
  /** The channels of all probes. */
  readonly channels: number;
}

/** The further input of a probed model: the number of tokens that are no padding, i64[1]. */
export const VALID = 'calibration/valid';

/** The output of a reduction. */
export function reductionOutput(reduction: keyof typeof REDUCTIONS): string {
  return named(reduction);
}

/**
 * Reductions over rows; each is one output [channels of all probes]. Squares are summed after a product: ReduceSumSquare
 * has no fast path along this axis in ONNX Runtime 1.30, and takes longer than the model.
 */
export const REDUCTIONS = {
  min: 'ReduceMin',
  max: 'ReduceMax',
  sum: 'ReduceSum',
  squares: 'ReduceSum',
} as const;

/** Adds to a graph's model what reduces the wanted nodes' valid rows to vectors, so that little leaves the runtime. */
export function probedModel(graph: Graph, requests: readonly StatisticsRequest[], inputs: TokenInputs): ProbedModel {
  const base = modelOf(
    graph,
    requests.map(({ node }) => node),
  );
  const added = new Addition(inputs.batch);
  const probes = new Map<StatisticsRequest, Probe>();
  const vectors = new Map<string, string[]>(Object.keys(REDUCTIONS).map((reduction) => [reduction, []]));
  const outputs: OnnxValue[] = [];
  let offset = 0;
  for (const [i, group] of groupsOf(requests, inputs).entries()) {
    const rows = added.joinedRows(`group_${i}`, group);
    for (const [reduction, op] of Object.entries(REDUCTIONS)) {
      const operand = reduction === 'squares' ? added.emit(`group_${i}/square`, 'Mul', [rows, rows]) : rows;
      vectors.get(reduction)?.push(added.reduce(`group_${i}/${reduction}`, op, operand));
    }
    for (const { request, layout } of group) {
      const isFetched = request.histogram || request.gram;
      const rowsOutput = isFetched ? added.validRows(request.node.name, request.node.name, layout) : undefined;
      if (rowsOutput !== undefined) {
        outputs.push({ name: rowsOutput, dtype: 'f32', shape: [`${rowsOutput}/count`, layout.channels] });
      }
      probes.set(request, { ...layout, request, offset, rowsOutput });
      offset += layout.channels;
    }
  }
  for (const [reduction, parts] of vectors) {
    outputs.push({ name: added.emit(reduction, 'Concat', parts, LAST_AXIS), dtype: 'f32', shape: [offset] });
  }
  const model: OnnxModel = {
    ...base,
    inputs: [...base.inputs, { name: VALID, dtype: 'i64', shape: [1] }],
    outputs,
    nodes: [...base.nodes, ...added.nodes],
    initializers: [...base.initializers, ...added.initializers],
  };
  return { model, probes: requests.map((request) => probes.get(request) as Probe), channels: offset };
}

const LAST_AXIS = { axis: { int: -1 } } as const;

type Group = readonly { readonly request: StatisticsRequest; readonly layout: Layout }[];

/** 64 tokens of it are a megabyte, which stays in a core's cache. */
const GROUP_CHANNELS = 4096;

/** Values whose rows are the same are reduced side by side: hundreds of small reductions take longer than the model. */
function groupsOf(requests: readonly StatisticsRequest[], inputs: TokenInputs): Group[] {
  const groups: Group[] = [];
  const open = new Map<string, { members: Group[number][]; channels: number }>();
  for (const request of requests) {
    const { node } = request;
    const layout = layoutOf(node, inputs);
    const { shape } = node.type;
    const isWide = !layout.tokenAxes.includes(shape.length - 1);
    const key = isWide ? `${shape.slice(0, -1)} ${layout.tokenAxes}` : node.name;
    let group = open.get(key);
    if (group === undefined || group.channels + layout.channels > GROUP_CHANNELS) {
      group = { members: [], channels: 0 };
      open.set(key, group);
      groups.push(group.members);
    }
    group.members.push({ request, layout });
    group.channels += layout.channels;
  }
  return groups;
}

/** What is added to a model, all under names of its own. */
class Addition {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxInitializer[] = [];
  readonly #batch: number;
  readonly #made = new Set<string>();

  constructor(batch: number) {
    this.#batch = batch;
  }

  /** Returns the name of the value. */
  emit(part: string, op: string, inputs: readonly string[], attributes: OnnxNode['attributes'] = {}): string {
    const name = named(part);
    this.nodes.push({ name, op, inputs, outputs: [name], attributes });
    return name;
  }

  /** Values side by side, [rows, channels of all]. */
  joinedRows(part: string, group: Group): string {
    const [first, ...others] = group as [Group[number], ...Group];
    const names = group.map(({ request }) => request.node.name);
    const channels = group.reduce((sum, { layout }) => sum + layout.channels, 0);
    const value = others.length === 0 ? (names[0] as string) : this.emit(part, 'Concat', names, LAST_AXIS);
    return this.validRows(part, value, { ...first.layout, channels });
  }

  /** A value as [rows, channels] without padding. */
  validRows(part: string, value: string, { channels, tokenAxes, hasBatch, isFlat }: Layout): string {
    let valid = value;
    if (isFlat) valid = this.emit(`${part}/batch`, 'Reshape', [valid, this.#integers([this.#batch, -1, channels])]);
    const axes = hasBatch ? [0, ...tokenAxes] : tokenAxes;
    if (axes.length > 0) {
      const starts = this.#integers(axes.map(() => 0));
      const ends = axes.map((axis) => (hasBatch && axis === 0 ? this.#integers([1]) : VALID));
      const joined = this.#once(`ends_${axes.join('_')}`, (key) => {
        this.emit(key, 'Concat', ends, { axis: { int: 0 } });
      });
      valid = this.emit(`${part}/valid`, 'Slice', [valid, starts, joined, this.#integers(axes)]);
    }
    return this.emit(`${part}/rows`, 'Reshape', [valid, this.#integers([-1, channels])]);
  }

  /** Over the rows. ReduceSum takes its axes as an input since opset 13, the others only since 18. */
  reduce(part: string, op: string, rows: string): string {
    const keepdims = { int: 0 };
    if (op === REDUCTIONS.sum) return this.emit(part, op, [rows, this.#integers([0])], { keepdims });
    return this.emit(part, op, [rows], { axes: { ints: [0] }, keepdims });
  }

  #integers(values: readonly number[]): string {
    return this.#once(`integers_${values.join('_')}`, (part) => {
      this.initializers.push({ name: named(part), tensor: integerTensor('i64', values) });
    });
  }

  #once(part: string, make: (part: string) => void): string {
    if (!this.#made.has(part)) make(part);
    this.#made.add(part);
    return named(part);
  }
}

function named(part: string): string {
  return `calibration/${part}`;
}
