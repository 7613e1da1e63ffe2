import { readF32, scalarTensor, type Tensor, tensorOf } from '../../ir/tensor.ts';
import type { RuntimeSession } from '../../runtimes/runtime.ts';
import type { Gradient } from '../../solve/adam.ts';
import { RUN_VALUES } from './gradient-memory.ts';
import type { StepGraph } from './step-graph.ts';
import { StudentFeeds, type TokenIds } from './student-feeds.ts';
import type { TeacherRuns } from './teacher-runs.ts';
import type { Lesson } from './texts.ts';
import type { TrainedArray } from './trained.ts';

/** Computes gradients at the present values of what is trained, for one batch of texts after the other. */
export class GradientRuns {
  readonly #session: RuntimeSession;
  readonly #step: StepGraph;
  readonly #feeds: StudentFeeds;
  readonly #teacher: TeacherRuns | undefined;
  readonly #inputs: ReadonlySet<string>;
  /** Sums of gradients, by the names of what they are of. */
  readonly #sums: ReadonlyMap<string, Float32Array>;

  /** Takes the arrays by their names. `teacher` answers where it is not in the graph. */
  constructor(
    session: RuntimeSession,
    step: StepGraph,
    arrays: ReadonlyMap<string, TrainedArray>,
    { pad, teacher }: { readonly pad: number; readonly teacher?: TeacherRuns | undefined },
  ) {
    this.#session = session;
    this.#step = step;
    this.#feeds = new StudentFeeds(session.inputs, arrays, { reads: step.reads, pad });
    this.#teacher = teacher;
    this.#inputs = new Set(session.inputs.map(({ name }) => name));
    const names = [...step.parameters, ...step.tables].map(({ name }) => name);
    this.#sums = new Map(
      names.map((name) => [name, new Float32Array((arrays.get(name) as TrainedArray).values.length)]),
    );
  }

  /**
   * The gradients' mean over the texts by name, run in as many parts as memory asks for. The arrays hold until the next
   * call.
   */
  async gradients(lessons: readonly Lesson[]): Promise<ReadonlyMap<string, Gradient>> {
    const { parameters, tables } = this.#step;
    const found = new Map<string, Gradient>();
    for (const { name } of parameters) {
      const values = this.#sums.get(name) as Float32Array;
      found.set(name, { values: values.fill(0) });
    }
    const met = new Map(tables.map(({ name }) => [name, new Set<number>()]));
    const lengthOf = (texts: readonly Lesson[]) => this.#feeds.fixedLength ?? longest(texts);
    const most = Math.max(1, Math.floor(RUN_VALUES / this.#step.valuesPerToken / lengthOf(lessons)));
    // Parts of about one size: each has to read and write all weights.
    const count = Math.ceil(lessons.length / Math.ceil(lessons.length / most));
    for (let from = 0; from < lessons.length; ) {
      const part = lessons.slice(from, from + count);
      const { feeds, ids } = await this.#feedsOf(part, lengthOf(part));
      this.#add(await this.#session.run(feeds), ids, part.length / lessons.length, met);
      from += part.length;
    }
    for (const { name, width } of tables) {
      const places = [...(met.get(name) as Set<number>)].sort((a, b) => a - b);
      found.set(name, { values: this.#sums.get(name) as Float32Array, rows: { places, width } });
    }
    return found;
  }

  #add(
    outputs: ReadonlyMap<string, Tensor>,
    ids: TokenIds,
    share: number,
    met: ReadonlyMap<string, Set<number>>,
  ): void {
    const { parameters, tables } = this.#step;
    for (const { name, gradient } of parameters) {
      addScaled(this.#sums.get(name) as Float32Array, readF32(outputs.get(gradient.name) as Tensor), share);
    }
    for (const table of tables) {
      addRows(this.#sums.get(table.name) as Float32Array, {
        rows: readF32(outputs.get(table.gradient.name) as Tensor),
        ids: ids.get(table.ids) as Int32Array,
        width: table.width,
        met: met.get(table.name) as Set<number>,
        share,
      });
    }
  }

  async #feedsOf(lessons: readonly Lesson[], length: number) {
    const { sizes, batch, fromTeacher, labels } = this.#step;
    const { feeds, ids } = this.#feeds.of(
      lessons.map(({ student }) => student),
      length,
    );
    const add = (name: string, tensor: Tensor) => {
      if (this.#inputs.has(name)) feeds.set(name, tensor);
    };
    for (const [symbol, { name }] of sizes) add(name, scalarTensor(symbol === batch ? lessons.length : length));
    if (labels) add(labels.name, oneHot(lessons, labels.type.shape.at(-1) as number));
    if (fromTeacher.size > 0) {
      const rows = lessons.map(({ teacher }) => teacher);
      // Values of tokens have to lie where the student's do; those of sequences do not depend on padding.
      const answers = await (this.#teacher as TeacherRuns).answers(rows, this.#feeds.fixedLength ?? longest(lessons));
      for (const [name, input] of fromTeacher) add(input.name, answers.get(name) as Tensor);
    }
    return { feeds, ids };
  }
}

/** Tokens of the longest text, as teacher or student reads it. */
function longest(lessons: readonly Lesson[]): number {
  return lessons.reduce(
    (most, { teacher, student }) => Math.max(most, teacher.inputIds.length, student.inputIds.length),
    0,
  );
}

function oneHot(lessons: readonly Lesson[], classes: number): Tensor {
  const values = new Float32Array(lessons.length * classes);
  for (const [i, { label }] of lessons.entries()) if (label !== undefined) values[i * classes + label] = 1;
  return tensorOf('f32', [lessons.length, classes], values);
}

function addScaled(sum: Float32Array, values: Float32Array, scale: number): void {
  for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + scale * (values[i] as number);
}

interface RowGradients {
  /** Gradients of the rows that were read, one for each id. */
  readonly rows: Float32Array;
  readonly ids: Int32Array;
  readonly width: number;
  /** Rows that `sum` has something of. */
  readonly met: Set<number>;
  readonly share: number;
}

/** Adds the gradients of a table's rows; a row that was not met before is cleared first. */
function addRows(sum: Float32Array, { rows, ids, width, met, share }: RowGradients): void {
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] as number;
    const to = id * width;
    if (!met.has(id)) sum.fill(0, to, to + width);
    met.add(id);
    for (let k = 0; k < width; k++) sum[to + k] = (sum[to + k] as number) + share * (rows[i * width + k] as number);
  }
}
