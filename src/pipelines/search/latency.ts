import { existsSync } from 'node:fs';
import { cpus } from 'node:os';
import { cutGraph } from '../../calibration/cut-graph.ts';
import { onnx } from '../../exporters/onnx.ts';
import { decodeText } from '../../io/bytes.ts';
import { readWhole, writeWhole } from '../../io/files.ts';
import { copyGraph } from '../../ir/copy-graph.ts';
import type { Graph, Node } from '../../ir/graph.ts';
import { nodesByName } from '../../ir/nodes-by-name.ts';
import { usualSizes } from '../../ir/operation-costs.ts';
import { keepNothing, runPasses } from '../../ir/pass.ts';
import { sizeOf } from '../../ir/shape.ts';
import { type Tensor, tensorOf } from '../../ir/tensor.ts';
import { selectPasses } from '../../passes/index.ts';
import { onnxruntime } from '../../runtimes/onnxruntime.ts';
import type { RuntimeSession, TensorInfo } from '../../runtimes/runtime.ts';
import { randomNumbers } from '../../solve/random-numbers.ts';
import { type Spread, spreadOf } from '../bench/spread.ts';
import { bytesOf } from '../write/export-graph.ts';
import { applyChanges, type Candidate, convertedNodes, isConverted, WORDS } from './changes.ts';
import { partKey } from './part-key.ts';
import type { Space } from './space.ts';

/** A part that was timed: CPU time of a run in milliseconds, one thread, one sentence of usual length. */
export interface TimedPart extends Spread {
  /** Hash of the part's ops, shapes, attributes and what reads what: parts that differ in their numbers alone take the same time. */
  readonly key: string;
}

/** Times of parts in one runtime on one processor. */
export interface LatencyTable {
  readonly version: typeof TABLE_VERSION;
  readonly runtime: string;
  readonly processor: string;
  readonly rounds: number;
  readonly parts: readonly TimedPart[];
}

const TABLE_VERSION = 1;
const WARM_UP = 3;
const ROUNDS = 30;

/** What each candidate saves of a run's time, by the table, in milliseconds; and the table. */
export interface Latencies {
  readonly table: LatencyTable;
  /** Time of a run of the whole teacher. */
  readonly teacher: number;
  readonly saved: ReadonlyMap<Candidate, number>;
}

/**
 * Times the teacher and each of its layers, as they are and with each candidate, in ONNX Runtime; layers of equal shapes
 * are timed once. Parts run in turns, so that a machine that slows down slows all of them. Times that a file has from
 * this runtime and processor are taken over, and the file gets the others.
 */
export async function measureLatencies(
  space: Space,
  candidates: readonly Candidate[],
  { path, progress }: { readonly path: string; readonly progress: (done: number, total: number) => void },
): Promise<Latencies> {
  const { teacher } = space;
  const whole = await preparedPart(space, copyGraph(teacher));
  const layers = new Map<number, Graph>();
  const parts = new Map<Candidate, Graph | undefined>();
  for (const candidate of candidates) {
    const { layer } = candidate;
    // A look-up takes no time beside the layers, and neither does the linear behind it.
    if (layer === WORDS) continue;
    if (!layers.has(layer)) layers.set(layer, await layerPart(space, layer, []));
    const isGone = candidate.change.kind === 'drop';
    parts.set(candidate, isGone ? undefined : await layerPart(space, layer, [candidate]));
  }
  const graphs = new Map<string, Graph>();
  for (const graph of [whole, ...layers.values(), ...parts.values()]) if (graph) graphs.set(partKey(graph), graph);
  const table = await completed(await tableAt(path), graphs, progress);
  await writeWhole(path, new TextEncoder().encode(`${JSON.stringify(table, null, 1)}\n`));
  const times = new Map(table.parts.map(({ key, median }) => [key, median]));
  const timeOf = (graph: Graph) => times.get(partKey(graph)) as number;
  const teacherTime = timeOf(whole);
  // A layer by itself takes a call of its own, which the whole does not save where the layer is left out.
  const alone = [...layers.values()].reduce((sum, graph) => sum + timeOf(graph), 0);
  const call = Math.max(0, (alone - teacherTime) / layers.size);
  return {
    table,
    teacher: teacherTime,
    saved: new Map(
      [...parts].map(([candidate, graph]) => {
        const layer = timeOf(layers.get(candidate.layer) as Graph);
        return [candidate, layer - (graph ? timeOf(graph) : call)];
      }),
    ),
  };
}

/** A layer as it is with some changes, which reads what the teacher's layer reads. */
async function layerPart(space: Space, layer: number, changes: readonly Candidate[]): Promise<Graph> {
  const { input, output } = space.blocks[layer] as Space['blocks'][number];
  const graph = copyGraph(space.teacher);
  // An output goes along with what takes its node's place.
  graph.output(LAYER_OUTPUT, nodesByName(graph).get(output) as Node);
  applyChanges(graph, changes, space);
  convert(graph, convertedNodes(changes, space.blocks));
  const end = graph.outputs.find(({ name }) => name === LAYER_OUTPUT)?.node as Node;
  const start = input === undefined ? undefined : nodesByName(graph).get(input);
  return preparedPart(space, cutGraph(graph, [end], new Set(start ? [start] : [])).part);
}

/** Puts NoNorm and ReLU into a layer as they will be, whatever their numbers. */
function convert(graph: Graph, names: ReadonlySet<string>): void {
  for (const node of graph.nodes()) {
    if (!isConverted(node) || !names.has(node.name)) continue;
    const op = node.op === 'gelu' ? 'relu' : 'noNorm';
    graph.replace(node, () => graph.add(op, node.inputs, {}, node.name));
  }
}

const LAYER_OUTPUT = 'layer output';

async function preparedPart({ teacher, maxPositions }: Space, part: Graph): Promise<Graph> {
  const graph = copyGraph(part, { bindings: usualSizes(teacher, maxPositions) });
  await runPasses(graph, selectPasses(undefined, 'onnx'), keepNothing);
  return graph;
}

/** The table that a file holds, without its times where they are of another runtime or processor. */
async function tableAt(path: string): Promise<LatencyTable> {
  const runtime = `${onnxruntime.name} ${await onnxruntime.version()}`;
  const processor = cpus()[0]?.model ?? process.arch;
  const empty: LatencyTable = { version: TABLE_VERSION, runtime, processor, rounds: ROUNDS, parts: [] };
  if (!existsSync(path)) return empty;
  try {
    const table = JSON.parse(decodeText(readWhole(path), path)) as Partial<LatencyTable> | null;
    const isSame = table?.version === TABLE_VERSION && table.runtime === runtime && table.processor === processor;
    return isSame && Array.isArray(table.parts) ? { ...empty, parts: table.parts.filter(isTimedPart) } : empty;
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    return empty;
  }
}

function isTimedPart(part: Partial<TimedPart> | null): part is TimedPart {
  return typeof part?.key === 'string' && typeof part.median === 'number';
}

/** Times the parts that a table lacks. */
async function completed(
  table: LatencyTable,
  graphs: ReadonlyMap<string, Graph>,
  progress: (done: number, total: number) => void,
): Promise<LatencyTable> {
  const known = new Set(table.parts.map(({ key }) => key));
  const missing = [...graphs].filter(([key]) => !known.has(key));
  const sessions: { readonly key: string; readonly session: RuntimeSession; readonly feeds: Map<string, Tensor> }[] =
    [];
  try {
    for (const [key, graph] of missing) {
      const bytes = await bytesOf(onnx.write(graph, { ...onnx.defaults, name: 'part.onnx' }));
      const session = await onnxruntime.load(bytes, { threads: 1 });
      sessions.push({ key, session, feeds: feedsOf(session.inputs) });
    }
    const times = new Map(missing.map(([key]) => [key, [] as number[]]));
    for (let round = 0; round < WARM_UP + ROUNDS; round++) {
      progress(round, WARM_UP + ROUNDS);
      for (let turn = 0; turn < sessions.length; turn++) {
        const { key, session, feeds } = sessions[(round + turn) % sessions.length] as (typeof sessions)[number];
        const before = process.cpuUsage();
        await session.run(feeds);
        const { user, system } = process.cpuUsage(before);
        if (round >= WARM_UP) times.get(key)?.push((user + system) / 1000);
      }
    }
    const timed = [...times].map(([key, values]) => ({ key, ...spreadOf(values) }));
    return { ...table, parts: [...table.parts, ...timed] };
  } finally {
    for (const { session } of sessions) await session.close();
  }
}

/** Values for the inputs of a part: how long it takes hardly depends on them. */
function feedsOf(inputs: readonly TensorInfo[]): Map<string, Tensor> {
  const random = randomNumbers(1);
  return new Map(
    inputs.map(({ name, dtype, shape }) => {
      const sizes = shape.map(Number);
      const count = sizeOf(sizes);
      if (dtype !== 'i32' && dtype !== 'i64') {
        return [
          name,
          tensorOf(
            'f32',
            sizes,
            Float32Array.from({ length: count }, () => 2 * random() - 1),
          ),
        ];
      }
      // Every model has a token 1 and a token type 1 or 0; a mask of ones has no padding.
      const value = /type|segment/.test(name) ? 0 : 1;
      return [name, tensorOf('i32', sizes, new Int32Array(count).fill(value))];
    }),
  );
}
