import { MbertError } from '../../errors.ts';
import type { Graph } from '../../ir/graph.ts';
import { readF32, type Tensor } from '../../ir/tensor.ts';
import type { LogitsKind, Task } from '../../models/index.ts';
import type { TokenRow } from '../../samples/feeds.ts';
import { type EncoderLayer, encoderLayers } from './encoder-layers.ts';
import { inTurn, type Loader } from './in-turn.ts';
import type { LayerPair } from './layer-map.ts';
import { LogitsKl, outputKinds } from './logits-kl.ts';
import { commonShape, inputShape, paddedLength, runRow } from './running.ts';
import { valueLoaders, valuesOf } from './value-session.ts';

/**
 * MobileBERT's layer-wise knowledge transfer losses (Sun et al. 2020, section 3.3), averaged over tokens of the text.
 */
export interface TransferLosses {
  readonly samples: number;
  readonly tokens: number;
  readonly layers: readonly LayerLosses[];
  /**
   * KL(teacher ‖ student) in nats of the answers' distributions, averaged over rows; null for regressions and features.
   */
  readonly logitsKl: number | null;
}

/** The losses of one pair of layers. */
export interface LayerLosses {
  /** Layer of the student, counted from 0. */
  readonly student: number;
  /** Layer of the teacher, counted from 0. */
  readonly teacher: number;
  /** Mean over tokens and channels of (teacher - student)² at the layer's end. */
  readonly featureMapMse: number;
  /** Mean over tokens and channels of teacher², to see the error in proportion. */
  readonly featureMapPower: number;
  /** Mean over tokens of KL(teacher ‖ student) of the attention of each head, in nats. */
  readonly attentionKl: readonly number[];
}

/** Options of `transferLosses`. */
export interface TransferOptions {
  /** The id of padding, for models of a fixed length. */
  readonly pad: number;
  /** The task, which says what the outputs mean; undefined: two axes are a choice, more are features. */
  readonly task: Task | undefined;
  /** The kind of a head's logits, where they are not those of classes of which one is right. */
  readonly logitsKind?: LogitsKind | undefined;
  /** Length to pad to, in tokens, where both models take any length. Default: no padding. */
  readonly length?: number | undefined;
  /** Names of the models in errors. */
  readonly names?: { readonly student: string; readonly teacher: string };
  /** Called after each row. */
  readonly progress?: (done: number, total: number) => void;
}

/**
 * Measures MobileBERT's losses of layer-wise knowledge transfer on token rows: the mean squared error of feature maps,
 * and the divergence KL(teacher ‖ student) of each head's attention, averaged over tokens without padding (Sun et al.
 * 2020, section 3.3); and the divergence of the answers. Both graphs take the same token inputs and run in ONNX
 * Runtime. Throws MISMATCH where paired layers differ in width or heads, UNSUPPORTED for a graph without attention.
 */
export async function transferLosses(
  teacher: Graph,
  student: Graph,
  rows: readonly TokenRow[],
  map: readonly LayerPair[],
  options: TransferOptions,
): Promise<TransferLosses> {
  const { names = { student: 'student', teacher: 'teacher' } } = options;
  const layers = {
    teacher: encoderLayers(teacher, names.teacher),
    student: encoderLayers(student, names.student),
  };
  const sums = map.map((pair) => new LayerSums(pair, layers, names));
  const outputs = outputKinds(teacher, student, options);
  const comparedNodes = (side: 'teacher' | 'student') => [
    ...map.flatMap((pair) => {
      const { output, attention } = layers[side][pair[side]] as EncoderLayer;
      return [output, attention];
    }),
    ...outputs.map((output) => output[side]),
  ];
  const kl = outputs.map(({ kind }) => new LogitsKl(kind));
  const shape = commonShape([inputShape(names.teacher, teacher), inputShape(names.student, student)], options.length);
  const loaders: Loader[] = [];
  let tokens = 0;
  try {
    loaders.push(...(await valueLoaders(names.teacher, teacher, [comparedNodes('teacher')])));
    loaders.push(...(await valueLoaders(names.student, student, [comparedNodes('student')])));
    await inTurn(...(loaders as [Loader, Loader]), {
      rows: rows.length,
      progress: options.progress,
      run: (model, place) => runRow(model, rows, place, shape, options.pad),
      use(place, teacherOutputs, studentOutputs) {
        const valid = (rows[place] as TokenRow).inputIds.length;
        const size = { valid, length: paddedLength(shape) ?? valid };
        const [fromTeacher, fromStudent] = [valuesOf(teacherOutputs), valuesOf(studentOutputs)];
        sums.forEach((sum, at) => {
          const [from, to] = [2 * at, 2 * at + 2];
          sum.add(fromTeacher.slice(from, to), fromStudent.slice(from, to), size);
        });
        kl.forEach((sum, at) => {
          const output = 2 * sums.length + at;
          sum.add(fromTeacher[output] as Tensor, fromStudent[output] as Tensor, valid);
        });
        tokens += valid;
      },
    });
  } finally {
    for (const loader of loaders) loader.remove();
  }
  const divergences = kl.map(({ mean }) => mean);
  const logitsKl = divergences.length === 0 ? null : divergences.reduce((sum, value) => sum + value, 0);
  return { samples: rows.length, tokens, layers: sums.map((sum) => sum.result()), logitsKl };
}

interface RowSize {
  /** Tokens without padding. */
  readonly valid: number;
  /** Tokens with padding. */
  readonly length: number;
}

/**
 * Smallest probability that counts: 0 is taken for the smallest normal number of f32, so that one of them does not make
 * the loss infinite.
 */
const MIN_PROBABILITY = 2 ** -126;

/** Sums up the losses of one pair of layers. */
class LayerSums {
  readonly #pair: LayerPair;
  readonly #what: string;
  #error = 0;
  #power = 0;
  #values = 0;
  #tokens = 0;
  #divergences: Float64Array | undefined;

  constructor(
    pair: LayerPair,
    layers: { readonly [S in 'teacher' | 'student']: readonly EncoderLayer[] },
    names: { readonly student: string; readonly teacher: string },
  ) {
    const [student, teacher] = [layers.student[pair.student], layers.teacher[pair.teacher]];
    this.#pair = pair;
    this.#what = `layer ${pair.student} of ${names.student} and layer ${pair.teacher} of ${names.teacher}`;
    if (student === undefined || teacher === undefined) {
      const counts = `they have ${layers.student.length} and ${layers.teacher.length}`;
      throw new MbertError('MISMATCH', `${this.#what}: ${counts} layers`);
    }
    const widths = [student, teacher].map(({ output }) => output.type.shape.at(-1));
    if (widths[0] === widths[1]) return;
    throw new MbertError('MISMATCH', `${this.#what}: have ${widths[0]} and ${widths[1]} channels`, {
      hint: 'feature maps are compared channel by channel: the models need one hidden size',
    });
  }

  /** Adds one row: feature map and attention of teacher and student. */
  add(teacher: readonly Tensor[], student: readonly Tensor[], size: RowSize): void {
    const [map, attention] = teacher as [Tensor, Tensor];
    const [otherMap, otherAttention] = student as [Tensor, Tensor];
    // A last layer of which answers read the first token alone may compute no others.
    const compared = Math.min(size.valid, map.shape.at(-2) as number, otherMap.shape.at(-2) as number);
    const count = compared * (map.shape.at(-1) as number);
    const [a, b] = [readF32(map), readF32(otherMap)];
    for (let i = 0; i < count; i++) {
      const error = (a[i] as number) - (b[i] as number);
      this.#error += error * error;
      this.#power += (a[i] as number) ** 2;
    }
    this.#values += count;
    this.#tokens += compared;
    this.#addAttention(attention, otherAttention, compared, size);
  }

  #addAttention(teacher: Tensor, student: Tensor, queries: number, { valid, length }: RowSize): void {
    const [heads, otherHeads] = [headsOf(teacher), headsOf(student)];
    if (heads !== otherHeads) {
      throw new MbertError('MISMATCH', `${this.#what}: have ${otherHeads} and ${heads} attention heads`, {
        hint: 'attention is compared head by head',
      });
    }
    this.#divergences ??= new Float64Array(heads);
    const [p, q] = [readF32(teacher), readF32(student)];
    const [rows, otherRows] = [teacher.shape.at(-2) as number, student.shape.at(-2) as number];
    for (let head = 0; head < heads; head++) {
      let sum = 0;
      for (let query = 0; query < queries; query++) {
        const start = (head * rows + query) * length;
        const otherStart = (head * otherRows + query) * length;
        for (let i = 0; i < valid; i++) {
          const teacherShare = p[start + i] as number;
          const studentShare = q[otherStart + i] as number;
          // p log(p/q) - p + q: what is added sums to 0, and keeps the rounding of f32 from going below it.
          if (teacherShare > 0)
            sum += teacherShare * Math.log(teacherShare / Math.max(studentShare, MIN_PROBABILITY)) - teacherShare;
          sum += studentShare;
        }
      }
      this.#divergences[head] = (this.#divergences[head] as number) + sum;
    }
  }

  result(): LayerLosses {
    return {
      ...this.#pair,
      featureMapMse: this.#error / this.#values,
      featureMapPower: this.#power / this.#values,
      attentionKl: Array.from(this.#divergences ?? [], (sum) => sum / this.#tokens),
    };
  }
}

/**
 * The number of heads of [batch, heads, sequence, sequence], or of [heads, sequence, sequence] where a format has no
 * batch of 1.
 */
function headsOf({ shape }: Tensor): number {
  return shape.at(-3) as number;
}
