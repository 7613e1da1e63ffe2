import { readF32, scalarTensor, type Tensor, tensorOf } from '../../ir/tensor.ts';
import type { Gradient } from '../../solve/adam.ts';
import type { Part, PartRuns } from './part-runs.ts';
import type { StepGraph } from './step-graph.ts';
import { StudentFeeds, type TokenIds } from './student-feeds.ts';
import type { TeacherRuns } from './teacher-runs.ts';
import type { Lesson } from './texts.ts';
import type { TrainedArray } from './trained.ts';

/** Computes gradients at the present values of what is trained, for one batch of texts after the other. */
export class GradientRuns {
  readonly #runs: PartRuns;
  readonly #step: StepGraph;
  readonly #feeds: StudentFeeds;
  readonly #teacher: TeacherRuns | undefined;
  readonly #inputs: ReadonlySet<string>;
  /** Sums of the gradients of tables, by their names. */
  readonly #sums: ReadonlyMap<string, Float32Array>;

  /** Takes the arrays by their names. `teacher` answers where it is not in the graph. */
  constructor(
    runs: PartRuns,
    step: StepGraph,
    arrays: ReadonlyMap<string, TrainedArray>,
    { pad, teacher }: { readonly pad: number; readonly teacher?: TeacherRuns | undefined },
  ) {
    this.#runs = runs;
    this.#step = step;
    this.#feeds = new StudentFeeds(runs.inputs, arrays, { reads: step.reads, pad });
    this.#teacher = teacher;
    this.#inputs = new Set(runs.inputs.map(({ name }) => name));
    this.#sums = new Map(
      step.tables.map(({ name }) => [name, new Float32Array((arrays.get(name) as TrainedArray).values.length)]),
    );
  }

  /**
   * The gradients' mean over the texts by name, run in as many parts as memory asks for. The arrays hold until the next
   * call.
   */
  async gradients(lessons: readonly Lesson[]): Promise<ReadonlyMap<string, Gradient>> {
    const { parameters, tables } = this.#step;
    const met = new Map(tables.map(({ name }) => [name, new Set<number>()]));
    const parts: (Part & { readonly ids: TokenIds })[] = [];
    for (const part of this.#split(lessons)) {
      parts.push({ ...(await this.#feedsOf(part, this.#lengthOf(part))), share: part.length / lessons.length });
    }
    const outputs = await this.#runs.run(parts);
    for (const [i, part] of parts.entries()) this.#addRows(outputs[i] as ReadonlyMap<string, Tensor>, part, met);
    const found = new Map<string, Gradient>();
    for (const { name, gradient } of parameters) {
      found.set(name, { values: this.#runs.sums.get(gradient.name) as Float32Array });
    }
    for (const { name, width } of tables) {
      const places = [...(met.get(name) as Set<number>)].sort((a, b) => a - b);
      found.set(name, { values: this.#sums.get(name) as Float32Array, rows: { places, width } });
    }
    return found;
  }

  /** Cuts a batch into parts of about one size, as each has to read and write all weights. */
  #split(lessons: readonly Lesson[]): (readonly Lesson[])[] {
    const { values, lanes } = this.#runs;
    const most = Math.max(1, Math.floor(values / this.#step.valuesPerToken / this.#lengthOf(lessons)));
    const count = Math.min(lessons.length, Math.ceil(lessons.length / most / lanes) * lanes);
    const place = (part: number) => Math.ceil((part * lessons.length) / count);
    return Array.from({ length: count }, (_, i) => lessons.slice(place(i), place(i + 1)));
  }

  #lengthOf(lessons: readonly Lesson[]): number {
    return this.#feeds.fixedLength ?? longest(lessons);
  }

  #addRows(
    outputs: ReadonlyMap<string, Tensor>,
    { ids, share }: { readonly ids: TokenIds; readonly share: number },
    met: ReadonlyMap<string, Set<number>>,
  ): void {
    for (const table of this.#step.tables) {
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
      const answers = await (this.#teacher as TeacherRuns).answers(rows, this.#lengthOf(lessons));
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
