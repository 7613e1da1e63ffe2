import type { OnnxModel, OnnxNode, OnnxValue } from '../formats/onnx.ts';
import { integerTensor, readF32, scalarTensor, type Tensor, tensorOf } from '../ir/tensor.ts';
import type { Heads, ScorePairs, Segment } from '../ir/text-runs.ts';
import type { RuntimeSession } from '../runtimes/runtime.ts';
import { loadOnnxModel } from './graph-session.ts';
import { modelOfNodes } from './products.ts';

/** Number of scores that are worked on at once, with 4 bytes each in some values. */
const GROUP_PAIRS = 1 << 18;

/** Segments of one length that follow each other. */
interface Group {
  readonly start: number;
  readonly count: number;
  readonly length: number;
  /** The teacher's attention, [count, heads, length, length]. */
  readonly p: Tensor;
  readonly errors: Tensor;
}

/**
 * Opens attention's sums in ONNX Runtime, some segments of one length at a time. `close` frees the runtime's memory.
 */
export async function openScorePairs(
  student: Heads,
  teacher: Heads,
  segments: readonly Segment[],
  threads: number | undefined,
): Promise<ScorePairs> {
  const sessions: RuntimeSession[] = [];
  const open = async (model: OnnxModel) => {
    const session = await loadOnnxModel(model, threads);
    sessions.push(session);
    return session;
  };
  const close = async () => {
    for (const session of sessions) await session.close();
  };
  try {
    const models = new ScoreModels(student.heads, student.k.columns / student.heads, student.scale);
    const groups = await groupsOf(student, teacher, segments, await open(models.pairs(teacher.scale)));
    return new RuntimePairs(student, groups, {
      divergence: await open(models.divergence()),
      slope: await open(models.slope()),
      slopeOfErrors: await open(models.slopeOfErrors()),
      curvatures: await open(models.curvatures()),
      close,
    });
  } catch (cause) {
    await close();
    throw cause;
  }
}

async function groupsOf(
  student: Heads,
  teacher: Heads,
  segments: readonly Segment[],
  session: RuntimeSession,
): Promise<Group[]> {
  const groups: Group[] = [];
  for (let i = 0; i < segments.length; ) {
    const { start, length } = segments[i] as Segment;
    const most = Math.max(1, Math.floor(GROUP_PAIRS / (student.heads * length * length)));
    let count = 1;
    const isNext = ({ start: at, length: same }: Segment) => same === length && at === start + count * length;
    while (count < most && i + count < segments.length && isNext(segments[i + count] as Segment)) count++;
    i += count;
    const place = { start, count, length };
    const outputs = await session.run(
      new Map([
        ['q', tokensOf(student.q.values, student.q.columns, place)],
        ['k', tokensOf(student.k.values, student.k.columns, place)],
        ['teacher/q', tokensOf(teacher.q.values, teacher.q.columns, place)],
        ['teacher/k', tokensOf(teacher.k.values, teacher.k.columns, place)],
      ]),
    );
    groups.push({ ...place, p: outputs.get('p') as Tensor, errors: outputs.get('errors') as Tensor });
  }
  return groups;
}

interface Sessions {
  readonly divergence: RuntimeSession;
  readonly slope: RuntimeSession;
  readonly slopeOfErrors: RuntimeSession;
  readonly curvatures: RuntimeSession;
  close(): Promise<void>;
}

class RuntimePairs implements ScorePairs {
  readonly #student: Heads;
  readonly #groups: readonly Group[];
  readonly #sessions: Sessions;

  constructor(student: Heads, groups: readonly Group[], sessions: Sessions) {
    this.#student = student;
    this.#groups = groups;
    this.#sessions = sessions;
  }

  async divergence(change: Float32Array, weights: Float32Array): Promise<number> {
    const { columns } = this.#student.q;
    let sum = 0;
    for (const group of this.#weighty(weights)) {
      const feeds = this.#feeds(group, weights).set('change', tokensOf(change, columns, group));
      feeds.set('errors', group.errors);
      const outputs = await this.#sessions.divergence.run(feeds);
      for (const value of readF32(outputs.get('divergence') as Tensor)) sum += value;
    }
    return sum;
  }

  async slope(change: Float32Array | undefined, weights: Float32Array): Promise<Float32Array> {
    const { rows, columns } = this.#student.q;
    const result = new Float32Array(rows * columns);
    for (const group of this.#weighty(weights)) {
      const feeds = this.#feeds(group, weights);
      if (change) feeds.set('change', tokensOf(change, columns, group));
      else feeds.set('errors', group.errors);
      const session = change ? this.#sessions.slope : this.#sessions.slopeOfErrors;
      const outputs = await session.run(feeds);
      result.set(readF32(outputs.get('slope') as Tensor), group.start * columns);
    }
    return result;
  }

  async curvatures(weights: Float32Array): Promise<Float64Array[]> {
    const { k, heads, scale } = this.#student;
    const size = k.columns / heads;
    const sums = Array.from({ length: heads }, () => new Float64Array(size * size));
    let total = 0;
    for (const group of this.#weighty(weights)) {
      const outputs = await this.#sessions.curvatures.run(this.#feeds(group, weights));
      const values = readF32(outputs.get('curvatures') as Tensor);
      for (const [head, sum] of sums.entries()) {
        const from = head * sum.length;
        for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (values[from + i] as number);
      }
      for (const weight of weightsOf(weights, group)) total += weight;
    }
    return sums.map((sum) => sum.map((value) => (value * scale * scale) / total));
  }

  close(): Promise<void> {
    return this.#sessions.close();
  }

  /** Groups of which some query counts; the others need not be looked at. */
  #weighty(weights: Float32Array): Group[] {
    return this.#groups.filter((group) => weightsOf(weights, group).some((weight) => weight > 0));
  }

  #feeds(group: Group, weights: Float32Array): Map<string, Tensor> {
    const { count, length, p } = group;
    return new Map([
      ['k', tokensOf(this.#student.k.values, this.#student.k.columns, group)],
      ['p', p],
      ['weights', tensorOf('f32', [count, 1, length, 1], weightsOf(weights, group))],
    ]);
  }
}

type Place = Pick<Group, 'start' | 'count' | 'length'>;

function weightsOf(weights: Float32Array, { start, count, length }: Place): Float32Array {
  return weights.subarray(start, start + count * length);
}

/** A group's tokens, [count, length, columns]. */
function tokensOf(values: Float32Array, columns: number, { start, count, length }: Place): Tensor {
  const rows = values.subarray(start * columns, (start + count * length) * columns);
  return tensorOf('f32', [count, length, columns], rows);
}

/** Models of one attention's sums; queries, keys [count, length, heads · size] become [count, heads, length, size]. */
class ScoreModels {
  readonly #heads: number;
  readonly #size: number;
  readonly #scale: number;

  constructor(heads: number, size: number, scale: number) {
    this.#heads = heads;
    this.#size = size;
    this.#scale = scale;
  }

  /** Model of the teacher's attention p, and of the errors of the student's scores. */
  pairs(teacherScale: number): OnnxModel {
    const graph = new ScoreGraph();
    const wanted = this.#scores(graph, 'teacher/q', 'teacher/k', teacherScale);
    graph.emit('Softmax', [wanted], 'p', { axis: { int: -1 } });
    graph.emit('Sub', [this.#scores(graph, 'q', 'k', this.#scale), wanted], 'errors');
    return graph.model(['q', 'k', 'teacher/q', 'teacher/k'], ['p', 'errors']);
  }

  divergence(): OnnxModel {
    const graph = new ScoreGraph();
    const errors = graph.emit('Add', [this.#scores(graph, 'change', 'k', this.#scale), 'errors']);
    const off = this.#lessMean(graph, errors);
    const weighted = graph.emit('Mul', [graph.emit('Mul', [off, off]), 'p']);
    const sums = graph.emit('ReduceSum', [weighted, graph.integers('last', [-1])], undefined, { keepdims: { int: 1 } });
    graph.emit('ReduceSum', [graph.emit('Mul', [sums, 'weights'])], 'divergence', { keepdims: { int: 0 } });
    return graph.model(['change', 'k', 'p', 'weights', 'errors'], ['divergence']);
  }

  slope(): OnnxModel {
    const graph = new ScoreGraph();
    this.#slopeOf(graph, this.#scores(graph, 'change', 'k', this.#scale));
    return graph.model(['change', 'k', 'p', 'weights'], ['slope']);
  }

  slopeOfErrors(): OnnxModel {
    const graph = new ScoreGraph();
    this.#slopeOf(graph, 'errors');
    return graph.model(['errors', 'k', 'p', 'weights'], ['slope']);
  }

  /** Model of Σ w p k kᵀ over pairs less Σ w m mᵀ over queries, with m the mean key by p: [heads, size, size]. */
  curvatures(): OnnxModel {
    const graph = new ScoreGraph();
    const keys = this.#byHead(graph, 'k');
    const seen = graph.emit('MatMul', ['p', keys]);
    // How often each key is looked at by all queries together: pᵀ w.
    const weighted = graph.emit('Mul', ['p', 'weights']);
    const looks = graph.emit('ReduceSum', [weighted, graph.integers('queries', [2])], undefined, {
      keepdims: { int: 0 },
    });
    const looked = graph.emit('Mul', [graph.emit('Unsqueeze', [looks, graph.integers('last', [-1])]), keys]);
    const turn = { perm: { ints: [0, 1, 3, 2] } };
    const all = graph.emit('MatMul', [graph.emit('Transpose', [keys], undefined, turn), looked]);
    const means = graph.emit('MatMul', [
      graph.emit('Transpose', [seen], undefined, turn),
      graph.emit('Mul', [seen, 'weights']),
    ]);
    graph.emit('ReduceSum', [graph.emit('Sub', [all, means]), graph.integers('segments', [0])], 'curvatures', {
      keepdims: { int: 0 },
    });
    return graph.model(['k', 'p', 'weights'], ['curvatures']);
  }

  #byHead(graph: ScoreGraph, tokens: string, perm: readonly number[] = [0, 2, 1, 3]): string {
    const split = graph.emit('Reshape', [tokens, graph.integers('split', [0, 0, this.#heads, this.#size])]);
    return graph.emit('Transpose', [split], undefined, { perm: { ints: perm } });
  }

  #scores(graph: ScoreGraph, queries: string, keys: string, scale: number): string {
    const products = graph.emit('MatMul', [this.#byHead(graph, queries), this.#byHead(graph, keys, [0, 2, 3, 1])]);
    return graph.emit('Mul', [products, graph.number(`scale/${keys}`, scale)]);
  }

  /** Adds each row of values less its mean by p. */
  #lessMean(graph: ScoreGraph, values: string): string {
    const weighted = graph.emit('Mul', [values, 'p']);
    const mean = graph.emit('ReduceSum', [weighted, graph.integers('last', [-1])], undefined, { keepdims: { int: 1 } });
    return graph.emit('Sub', [values, mean]);
  }

  #slopeOf(graph: ScoreGraph, values: string): void {
    const pulls = graph.emit('Mul', [graph.emit('Mul', [this.#lessMean(graph, values), 'p']), 'weights']);
    const sums = graph.emit('MatMul', [pulls, this.#byHead(graph, 'k')]);
    const scaled = graph.emit('Mul', [sums, graph.number('scale/slope', this.#scale)]);
    const turned = graph.emit('Transpose', [scaled], undefined, { perm: { ints: [0, 2, 1, 3] } });
    graph.emit('Reshape', [turned, graph.integers('joined', [0, 0, this.#heads * this.#size])], 'slope');
  }
}

/** A graph of ONNX nodes as they are added. */
class ScoreGraph {
  readonly #nodes: OnnxNode[] = [];
  readonly #constants = new Map<string, Tensor>();

  /** Adds a node and returns the name of its result. */
  emit(
    op: string,
    inputs: readonly string[],
    output = `value_${this.#nodes.length}`,
    attributes: OnnxNode['attributes'] = {},
  ): string {
    this.#nodes.push({ name: output, op, inputs, outputs: [output], attributes });
    return output;
  }

  integers(name: string, values: readonly number[]): string {
    this.#constants.set(name, integerTensor('i64', values));
    return name;
  }

  number(name: string, value: number): string {
    this.#constants.set(name, scalarTensor(value));
    return name;
  }

  model(inputs: readonly string[], outputs: readonly string[]): OnnxModel {
    const value = (name: string): OnnxValue => ({
      name,
      dtype: 'f32',
      shape: SHAPES[name] ?? ['count', 'length', 'columns'],
    });
    return modelOfNodes(
      'scores',
      { inputs: inputs.map(value), outputs: outputs.map(value), nodes: this.#nodes },
      [...this.#constants].map(([name, tensor]) => ({ name, tensor })),
    );
  }
}

const PAIRS = ['count', 'heads', 'length', 'length'];

/** Shapes of all that is not [count, length, columns]. */
const SHAPES: { readonly [name: string]: readonly (string | number)[] } = {
  p: PAIRS,
  errors: PAIRS,
  weights: ['count', 1, 'length', 1],
  divergence: [],
  curvatures: ['heads', 'size', 'size'],
};
