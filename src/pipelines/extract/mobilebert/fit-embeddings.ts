import { readF32, type Tensor, tensorOf } from '../../../ir/tensor.ts';
import type { TokenRow } from '../../../samples/feeds.ts';
import { principalAxes } from '../../../solve/principal-axes.ts';

/** A teacher's tables, and its norm. */
export interface TeacherEmbeddings {
  readonly words: Tensor;
  readonly positions: Tensor;
  readonly types: Tensor;
  readonly gain: Float32Array;
  readonly bias: Float32Array;
  readonly epsilon: number;
}

/** The tables of a student, and the matrix behind its words. */
export interface StudentEmbeddings {
  /** The narrow table [vocabulary, embedding]. */
  readonly words: Tensor;
  readonly positions: Tensor;
  readonly types: Tensor;
  /** The matrix [hidden, 3 · embedding] over the next, the present and the previous word. */
  readonly transformation: Tensor;
  readonly bias: Tensor;
}

interface EmbeddingOptions {
  /** The hidden channels that the student has. */
  readonly hidden: Int32Array;
  readonly embedding: number;
  readonly rows: readonly TokenRow[];
  /** How often each token comes, as `tokenWeights` says. */
  readonly weights: Float64Array;
  /** Id of padding. */
  readonly pad: number;
}

/**
 * Splits a word table behind the teacher's norm: the student has none, so its table holds words as they are normed at a
 * middling position, of the rank that is nearest to them, weighted by how often they come. Positions and types are added
 * in the scale that the norm gives on average. Neighbours of a word count nothing yet. The word of padding is 0: then it
 * says nothing to the token before it, whether a text is padded or not.
 */
export function splitEmbeddings(teacher: TeacherEmbeddings, options: EmbeddingOptions): StudentEmbeddings {
  const { hidden, embedding, weights, pad } = options;
  const [vocabulary = 0, width = 0] = teacher.words.shape;
  const [words, positions, types] = [teacher.words, teacher.positions, teacher.types].map(readF32) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const middle = meanPosition(positions, width, options.rows);
  const base = middle.map((value, i) => value + (types[i] as number));
  const narrow = hidden.length;
  const normed = new Float32Array(vocabulary * narrow);
  const scale = new Float64Array(narrow);
  const row = new Float64Array(width);
  for (let word = 0; word < vocabulary; word++) {
    for (let i = 0; i < width; i++) row[i] = (words[word * width + i] as number) + (base[i] as number);
    const factor = normalize(row, teacher.epsilon);
    const weight = weights[word] as number;
    for (let i = 0; i < narrow; i++) {
      const c = hidden[i] as number;
      const gain = teacher.gain[c] as number;
      normed[word * narrow + i] = gain * (row[c] as number) + (teacher.bias[c] as number);
      scale[i] = (scale[i] as number) + weight * factor * gain;
    }
  }
  const { mean, axes } = principalAxes(normed, narrow, weights);
  const table = new Float32Array(vocabulary * embedding);
  for (let word = 0; word < vocabulary; word++) {
    if (word === pad) continue;
    for (let axis = 0; axis < embedding; axis++) {
      let sum = 0;
      for (let i = 0; i < narrow; i++) {
        sum += ((normed[word * narrow + i] as number) - (mean[i] as number)) * (axes[axis * narrow + i] as number);
      }
      table[word * embedding + axis] = sum;
    }
  }
  const transformation = new Float32Array(narrow * 3 * embedding);
  for (let i = 0; i < narrow; i++) {
    for (let axis = 0; axis < embedding; axis++) {
      transformation[(i * 3 + 1) * embedding + axis] = axes[axis * narrow + i] as number;
    }
  }
  const moved = (values: Float32Array, origin: Float64Array | Float32Array) => {
    const count = values.length / width;
    const result = new Float32Array(count * narrow);
    for (let r = 0; r < count; r++) {
      for (let i = 0; i < narrow; i++) {
        const c = hidden[i] as number;
        result[r * narrow + i] = (scale[i] as number) * ((values[r * width + c] as number) - (origin[c] as number));
      }
    }
    return tensorOf('f32', [count, narrow], result);
  };
  return {
    words: tensorOf('f32', [vocabulary, embedding], table),
    positions: moved(positions, middle),
    types: moved(types, types.subarray(0, width)),
    transformation: tensorOf('f32', [narrow, 3 * embedding], transformation),
    bias: tensorOf('f32', [narrow], Float32Array.from(mean)),
  };
}

/** The mean of the positions that the texts have. */
function meanPosition(positions: Float32Array, width: number, rows: readonly TokenRow[]): Float64Array {
  const mean = new Float64Array(width);
  let count = 0;
  for (const { inputIds } of rows) {
    for (let place = 0; place < inputIds.length; place++) {
      for (let i = 0; i < width; i++) mean[i] = (mean[i] as number) + (positions[place * width + i] as number);
      count++;
    }
  }
  return mean.map((sum) => sum / count);
}

/** Brings a row to mean 0 and variance 1; returns the factor. */
function normalize(row: Float64Array, epsilon: number): number {
  let [sum, squares] = [0, 0];
  for (const value of row) sum += value;
  const mean = sum / row.length;
  for (const value of row) squares += (value - mean) ** 2;
  const factor = 1 / Math.sqrt(squares / row.length + epsilon);
  for (let i = 0; i < row.length; i++) row[i] = ((row[i] as number) - mean) * factor;
  return factor;
}
