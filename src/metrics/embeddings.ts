import { spearman } from './task-metrics.ts';

/** How far two models' embeddings of the same texts agree. */
export interface EmbeddingAgreement {
  /** Mean cosine between both models' embeddings of a text. */
  readonly meanCosine: number;
  /** Smallest of these cosines. */
  readonly worstCosine: number;
  /** Share of texts whose nearest other text is the same in both models, 0 … 1; null for fewer than two texts. */
  readonly neighbours: number | null;
  /** Spearman's correlation of the similarities of all pairs of texts, -1 … 1; null where there is no order. */
  readonly similarities: number | null;
}

/**
 * Most texts whose pairs are compared: 130,000 pairs of 512 texts say all that a correlation can, and of vectors as long
 * as a vocabulary they take seconds.
 */
const MAX_PAIRED = 512;

/** Compares two models' embeddings of the same texts, by cosine, as they arrive. */
export class EmbeddingComparison {
  readonly #reference: Float32Array[] = [];
  readonly #actual: Float32Array[] = [];
  #texts = 0;
  #cosines = 0;
  #worst = 1;

  add(reference: Float32Array, actual: Float32Array): void {
    const [a, b] = [unit(reference), unit(actual)];
    const cosine = dot(a, b);
    this.#texts++;
    this.#cosines += cosine;
    // Not Math.min alone: a NaN must stay.
    this.#worst = Number.isNaN(cosine) ? Number.NaN : Math.min(this.#worst, cosine);
    if (this.#reference.length === MAX_PAIRED) return;
    this.#reference.push(a);
    this.#actual.push(b);
  }

  result(): EmbeddingAgreement {
    const [a, b] = [similarities(this.#reference), similarities(this.#actual)];
    const [nearestA, nearestB] = [nearest(a), nearest(b)];
    return {
      meanCosine: this.#cosines / this.#texts,
      worstCosine: this.#worst,
      neighbours: known(nearestA.filter((place, i) => place === nearestB[i]).length / nearestA.length),
      similarities: known(spearman(pairsOf(a), pairsOf(b))),
    };
  }
}

function known(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}

/** A vector of length 1 in the same direction; zeros give NaN, which agrees with nothing. */
function unit(vector: Float32Array): Float32Array {
  const length = Math.sqrt(dot(vector, vector));
  return vector.map((value) => value / length);
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}

/** Cosines of all pairs of unit vectors, row by row. */
function similarities(vectors: readonly Float32Array[]): readonly (readonly number[])[] {
  const rows = vectors.map(() => new Array<number>(vectors.length).fill(0));
  vectors.forEach((a, i) => {
    for (let j = 0; j < i; j++) {
      const cosine = dot(a, vectors[j] as Float32Array);
      (rows[i] as number[])[j] = cosine;
      (rows[j] as number[])[i] = cosine;
    }
  });
  return rows;
}

/** The place of each text's nearest other one. */
function nearest(rows: readonly (readonly number[])[]): readonly number[] {
  if (rows.length < 2) return [];
  return rows.map((row, i) => {
    let best = i === 0 ? 1 : 0;
    for (const [j, cosine] of row.entries()) if (j !== i && cosine > (row[best] as number)) best = j;
    return best;
  });
}

function pairsOf(rows: readonly (readonly number[])[]): number[] {
  return rows.flatMap((row, i) => row.slice(0, i));
}
