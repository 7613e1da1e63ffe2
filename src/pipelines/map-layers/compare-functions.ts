import { tokenInputsOf } from '../../calibration/graph-session.ts';
import { openRuns } from '../../calibration/token-runs.ts';
import type { Graph, Node } from '../../ir/graph.ts';
import { sameShape } from '../../ir/shape.ts';
import { readF32, tensorOf } from '../../ir/tensor.ts';
import type { BatchValues, TextMatrix, TextRuns } from '../../ir/text-runs.ts';
import type { TokenRow } from '../../samples/feeds.ts';
import { wholeEncoderLayers } from '../evaluate/encoder-layers.ts';
import { layerInputs, nodesBetween } from '../evaluate/layer-inputs.ts';
import { type LinearMap, layerValues, linearMap, reconstructionError } from './similarity.ts';

/** Most texts that layers are run on: their tokens are some thousand comparisons, and nothing is fitted to their result. */
const TEXTS = 64;

/** Texts that both models read, and how they are run. */
interface FunctionOptions {
  readonly rows: readonly TokenRow[];
  /** Id of padding. */
  readonly pad: number;
  readonly progress: (done: number, total: number) => void;
}

/** A layer as a function: the value that it reads, and the one that it gives. */
interface LayerFunction {
  readonly input: Node;
  readonly output: Node;
}

/**
 * Compares what layers do in place of what they give: each layer of the teacher is run on what a layer of the student
 * reads, and what the two add to it is compared, Σ (a - b)² / (Σ a² + Σ b²). That is 0 for one function, whatever the
 * layers in front of it are, 1 for changes that have nothing in common, and 2 for opposite ones. A student in other
 * coordinates than its teacher is read through the linears that fit best between the values in front of both first
 * layers. Null where a layer reads more than one value, or the two take texts in other sizes.
 */
export async function compareFunctions(
  graphs: { readonly teacher: Graph; readonly student: Graph },
  paths: { readonly teacher: string; readonly student: string },
  { rows, pad, progress }: FunctionOptions,
): Promise<number[][] | null> {
  const own = layerFunctions(graphs.student, paths.student);
  const others = layerFunctions(graphs.teacher, paths.teacher);
  const [a, b] = [tokenInputsOf(graphs.student).shape, tokenInputsOf(graphs.teacher).shape];
  if (own === undefined || others === undefined || !sameShape(a, b)) return null;
  const students = await openRuns(graphs.student, rows.slice(0, TEXTS), { pad });
  let teachers: Awaited<ReturnType<typeof openRuns>> | undefined;
  try {
    teachers = await openRuns(graphs.teacher, rows.slice(0, TEXTS), { pad });
    const values = await students.compute(
      graphs.student,
      [...new Set(own.flatMap((each) => [each.input, each.output]))],
      new Map(),
    );
    const first = (await teachers.compute(graphs.teacher, [(others[0] as LayerFunction).input], new Map()))
      .values()
      .next().value as BatchValues;
    const between = await coordinates(values.get((own[0] as LayerFunction).input) as BatchValues, first, students);
    const errors: number[][] = [];
    for (const [i, { input, output }] of own.entries()) {
      const [reads, gives] = [values.get(input) as BatchValues, values.get(output) as BatchValues];
      const fed = between ? await throughLinear(reads, between.there, students) : reads;
      const [before, change] = [
        students.matrixOf(reads),
        difference(students.matrixOf(gives), students.matrixOf(reads)),
      ];
      const row: number[] = [];
      for (const layer of others) {
        progress(i * others.length + row.length, own.length * others.length);
        const known = new Map([[layer.input, fed]]);
        const result = (await teachers.compute(graphs.teacher, [layer.output], known)).get(layer.output) as BatchValues;
        const other = difference(teachers.matrixOf(result), teachers.matrixOf(fed));
        const back = between?.back.weights;
        const added = back
          ? await students.rowsTimes({ ...before, values: other, columns: back.columns }, back)
          : other;
        row.push(distance(change, added));
      }
      errors.push(row);
    }
    return errors;
  } finally {
    await Promise.all([students.close(), teachers?.close()]);
  }
}

/** The layers of a graph as functions; undefined where one reads more than one value. */
function layerFunctions(graph: Graph, path: string): LayerFunction[] | undefined {
  const layers = wholeEncoderLayers(graph, path);
  const inputs = layerInputs(graph, layers);
  const functions = layers.flatMap(({ output }, layer) => {
    const input = inputs[layer];
    return input && nodesBetween(input, output) && sameShape(input.type.shape, output.type.shape)
      ? [{ input, output }]
      : [];
  });
  return functions.length === layers.length ? functions : undefined;
}

/**
 * Finds the linears between the coordinates of a student and those of its teacher, both ways. Undefined where the
 * student's values are nearer to the teacher's as they are.
 */
async function coordinates(
  student: BatchValues,
  teacher: BatchValues,
  runs: TextRuns,
): Promise<{ readonly there: LinearMap; readonly back: LinearMap } | undefined> {
  const [x, y] = [runs.matrixOf(student), runs.matrixOf(teacher)];
  const [own, other] = [await layerValues(x, runs), await layerValues(y, runs)];
  if (x.columns === y.columns && distance(x.values, y.values) <= (await reconstructionError(own, other, runs)))
    return undefined;
  return { there: await linearMap(own, other, runs), back: await linearMap(other, own, runs) };
}

/** Values through a linear, batch by batch. */
async function throughLinear(
  { batches }: BatchValues,
  { weights, from, to }: LinearMap,
  runs: TextRuns,
): Promise<BatchValues> {
  const mapped = [];
  for (const tensor of batches) {
    const values = readF32(tensor);
    const x = { values, rows: values.length / weights.columns, columns: weights.columns, mean: from };
    const y = await runs.rowsTimes(x, weights);
    for (let at = 0; at < y.length; at += to.length) {
      for (let c = 0; c < to.length; c++) y[at + c] = (y[at + c] as number) + (to[c] as number);
    }
    mapped.push(tensorOf('f32', [...tensor.shape.slice(0, -1), weights.rows], y));
  }
  return { batches: mapped, rows: undefined };
}

function difference(a: TextMatrix, b: TextMatrix): Float32Array {
  const values = Float32Array.from(a.values);
  for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) - (b.values[i] as number);
  return values;
}

function distance(a: Float32Array, b: Float32Array): number {
  let [apart, power] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number];
    apart += (x - y) ** 2;
    power += x ** 2 + y ** 2;
  }
  return power > 0 ? apart / power : 0;
}
