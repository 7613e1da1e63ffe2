import { openRuns } from '../../calibration/token-runs.ts';
import type { Graph, Node } from '../../ir/graph.ts';
import { nodesByName } from '../../ir/nodes-by-name.ts';
import type { BatchValues, TextRuns } from '../../ir/text-runs.ts';
import type { TokenRow } from '../../samples/feeds.ts';
import { solveCholesky } from '../../solve/cholesky.ts';
import { featuresOf } from '../../solve/features.ts';
import { meanOf } from '../../solve/rows.ts';
import { isUnlike, projectionName } from './compared.ts';
import type { TaughtLayer, TrainedArray } from './trained.ts';

/** Texts that projections are fitted to: thousands of tokens for some hundred channels. */
const TEXTS = 256;

/** The exponent of 10 of the ridge, as the fits of linears mostly choose it. */
const RIDGE = -3;

/** What projections are fitted on. */
interface ProjectionOptions {
  readonly rows: readonly TokenRow[];
  /** Token id of padding. */
  readonly pad: number;
}

/** A student's value beside its teacher's, of another width or scale. */
interface UnlikePair {
  readonly name: string;
  readonly teacher: Node;
  readonly student: Node;
}

/**
 * Fits the linears that map a student's values to those of a teacher that they are unlike, by ridge least squares on some
 * texts. Training goes on from there, and leaves them out of the student.
 */
export async function fitProjections(
  teacher: Graph,
  student: Graph,
  layers: readonly TaughtLayer[],
  { rows, pad }: ProjectionOptions,
): Promise<TrainedArray[]> {
  const pairs = unlikePairs(teacher, student, layers);
  if (pairs.length === 0) return [];
  const texts = rows.slice(0, TEXTS);
  const runs = { teacher: await openRuns(teacher, texts, { pad }), student: await openRuns(student, texts, { pad }) };
  try {
    const values = {
      teacher: await runs.teacher.compute(
        teacher,
        pairs.map((pair) => pair.teacher),
        new Map(),
      ),
      student: await runs.student.compute(
        student,
        pairs.map((pair) => pair.student),
        new Map(),
      ),
    };
    const fitted: TrainedArray[] = [];
    for (const pair of pairs) {
      const x = runs.student.matrixOf(values.student.get(pair.student) as BatchValues);
      const y = runs.teacher.matrixOf(values.teacher.get(pair.teacher) as BatchValues);
      fitted.push(...(await fitLinear(pair.name, x, y, runs.student)));
    }
    return fitted;
  } finally {
    await runs.teacher.close();
    await runs.student.close();
  }
}

/** Pairs the layers that are compared though what they give is unlike. */
export function unlikePairs(teacher: Graph, student: Graph, layers: readonly TaughtLayer[]): UnlikePair[] {
  const [inTeacher, inStudent] = [nodesByName(teacher), nodesByName(student)];
  const ofLayers = layers.map((layer) => ({
    name: projectionName(layer.student.output),
    teacher: inTeacher.get(layer.teacher.output) as Node,
    student: inStudent.get(layer.student.output) as Node,
  }));
  return ofLayers.filter(isUnlike);
}

/** Solves y ≈ W x + b. */
async function fitLinear(
  name: string,
  x: ReturnType<TextRuns['matrixOf']>,
  y: ReturnType<TextRuns['matrixOf']>,
  runs: Pick<TextRuns, 'product'>,
): Promise<TrainedArray[]> {
  const { h, factorOf } = await featuresOf(x, runs);
  const mean = meanOf(y);
  const weight = await runs.product({ ...y, mean }, h);
  solveCholesky(factorOf('all', RIDGE), h.columns, weight);
  const bias = Float32Array.from(mean, (target, row) => {
    let sum = target;
    for (let i = 0; i < h.columns; i++) sum -= (weight[row * h.columns + i] as number) * (h.mean[i] as number);
    return sum;
  });
  return [
    { name: `${name}.weight`, shape: [y.columns, h.columns], values: Float32Array.from(weight) },
    { name: `${name}.bias`, shape: [y.columns], values: bias },
  ];
}
