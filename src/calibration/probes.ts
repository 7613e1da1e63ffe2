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
  readonly probes: readonly Probe[];
  /** The channels of all probes. */
  readonly channels: number;
}

/** The further input of a probed model: the number of tokens that are no padding, i64[1]. */
export const VALID = 'calibration/valid';

/** Reductions over rows; each is one output [channels of all probes]. */
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
  const added = new Addition();
  const probes: Probe[] = [];
  const vectors = new Map<string, string[]>(Object.keys(REDUCTIONS).map((reduction) => [reduction, []]));
  const outputs: OnnxValue[] = [];
  let offset = 0;
  for (const [i, group] of groupsOf(requests, inputs).entries()) {
    const names = group.map(({ request }) => request.node.name);
    const [{ layout }] = group as [Group[number]];
    const channels = group.reduce((sum, each) => sum + each.layout.channels, 0);
    const joined =
      group.length === 1 ? (names[0] as string) : added.emit(`calibration/group_${i}`, 'Concat', names, LAST_AXIS);
    const rows = added.validRows(joined, { ...layout, channels }, inputs.batch);
    for (const [reduction, op] of Object.entries(REDUCTIONS)) {
      const operand = reduction === 'squares' ? added.emit(`${joined}/square`, 'Mul', [rows, rows]) : rows;
      vectors.get(reduction)?.push(added.reduce(`${joined}/${reduction}`, op, operand));
    }
    for (const each of group) {
      const { node, histogram, gram } = each.request;
      const rowsOutput =
        !histogram && !gram
          ? undefined
          : group.length === 1
            ? rows
            : added.validRows(node.name, each.layout, inputs.batch);
      if (rowsOutput !== undefined) {
        outputs.push({ name: rowsOutput, dtype: 'f32', shape: [`${rowsOutput}/count`, each.layout.channels] });
      }
      probes.push({ ...each.layout, request: each.request, offset, rowsOutput });
      offset += each.layout.channels;
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
  return { model, probes, channels: offset };
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

/** The nodes and constants that are added to a model; nodes are named after the value they work on. */
class Addition {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxInitializer[] = [];
  readonly #made = new Set<string>();

  emit(name: string, op: string, inputs: readonly string[], attributes: OnnxNode['attributes'] = {}): string {
    this.nodes.push({ name, op, inputs, outputs: [name], attributes });
    return name;
  }

  /** [rows, channels] without padding. */
  validRows(name: string, { channels, tokenAxes, hasBatch, isFlat }: Layout, batch: number): string {
    let value = name;
    if (isFlat) value = this.emit(`${name}/batch`, 'Reshape', [value, this.#integers([batch, -1, channels])]);
    const axes = hasBatch ? [0, ...tokenAxes] : tokenAxes;
    if (axes.length > 0) {
      const starts = this.#integers(axes.map(() => 0));
      const ends = axes.map((axis) => (hasBatch && axis === 0 ? this.#integers([1]) : VALID));
      const joined = this.#once(`calibration/ends_${axes.join('_')}`, (key) =>
        this.emit(key, 'Concat', ends, { axis: { int: 0 } }),
      );
      value = this.emit(`${name}/valid`, 'Slice', [value, starts, joined, this.#integers(axes)]);
    }
    return this.emit(`${name}/rows`, 'Reshape', [value, this.#integers([-1, channels])]);
  }

  /** Over the rows. ReduceSum takes its axes as an input since opset 13, the others only since 18. */
  reduce(name: string, op: string, rows: string): string {
    const keepdims = { int: 0 };
    if (op === REDUCTIONS.sum) return this.emit(name, op, [rows, this.#integers([0])], { keepdims });
    return this.emit(name, op, [rows], { axes: { ints: [0] }, keepdims });
  }

  #integers(values: readonly number[]): string {
    return this.#once(`calibration/${values.join('_')}`, (name) => {
      this.initializers.push({ name, tensor: integerTensor('i64', values) });
    });
  }

  #once(name: string, make: (name: string) => void): string {
    if (!this.#made.has(name)) make(name);
    this.#made.add(name);
    return name;
  }
}
