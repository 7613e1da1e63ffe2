import { describe, expect, test } from 'vitest';
import { EmbeddingComparison } from '../../src/metrics/embeddings.ts';

/** Two models' embeddings of texts in a plane, by their angles in degrees. */
function compare(reference: readonly number[], actual: readonly number[], length = 1) {
  const vector = (degrees: number, scale: number) =>
    Float32Array.of(scale * Math.cos((degrees * Math.PI) / 180), scale * Math.sin((degrees * Math.PI) / 180));
  const comparison = new EmbeddingComparison();
  reference.forEach((angle, i) => {
    comparison.add(vector(angle, 1), vector(actual[i] as number, length));
  });
  return comparison.result();
}

describe('embeddings', () => {
  test('that are equal up to their lengths agree in everything', () => {
    const { meanCosine, worstCosine, neighbours, similarities } = compare([0, 10, 40, 90], [0, 10, 40, 90], 7);
    expect([meanCosine, worstCosine, neighbours, similarities]).toEqual([
      expect.closeTo(1, 6),
      expect.closeTo(1, 6),
      1,
      expect.closeTo(1, 6),
    ]);
  });

  test('that are all turned by one angle keep their neighbours and the order of similarities', () => {
    const { meanCosine, worstCosine, neighbours, similarities } = compare([0, 10, 40, 90], [60, 70, 100, 150]);
    expect([meanCosine, worstCosine]).toEqual([expect.closeTo(0.5, 6), expect.closeTo(0.5, 6)]);
    expect([neighbours, similarities]).toEqual([1, expect.closeTo(1, 6)]);
  });

  test('of which one is moved are told by the worst cosine and the neighbours', () => {
    // The text at 40 degrees comes to be nearest to the one at 90, whose nearest stays.
    const { meanCosine, worstCosine, neighbours, similarities } = compare([0, 10, 40, 90], [0, 10, 70, 90]);
    expect(worstCosine).toBeCloseTo(Math.cos(Math.PI / 6), 6);
    expect(meanCosine).toBeCloseTo((3 + Math.cos(Math.PI / 6)) / 4, 6);
    expect(neighbours).toBe(3 / 4);
    // Distances 10 40 30 90 80 50 become 10 70 60 90 80 20: ranks 1 3 2 6 5 4 and 1 4 3 6 5 2, Σ d² = 6.
    expect(similarities).toBeCloseTo(1 - (6 * 6) / (6 * 35), 6);
  });

  test('of which all point away from each other have neighbours all the same', () => {
    // Each has the nearest one at 100, 100, 110 degrees, then at 110, 120, 110: only the last keeps its neighbour.
    expect(compare([0, 100, 250], [0, 130, 250]).neighbours).toBe(1 / 3);
  });

  test('keep their neighbours where those that are far move further away', () => {
    expect(compare([0, 10, 100, 110], [0, 10, 120, 200]).neighbours).toBe(1);
  });

  test("of two texts are each the other one's neighbour", () => {
    expect(compare([0, 100], [0, 10]).neighbours).toBe(1);
  });

  test('of one text have no neighbours and no order', () => {
    const { meanCosine, neighbours, similarities } = compare([0], [0]);
    expect([meanCosine, neighbours, similarities]).toEqual([1, null, null]);
  });

  test('without a direction agree with nothing', () => {
    const comparison = new EmbeddingComparison();
    comparison.add(Float32Array.of(1, 0), Float32Array.of(1, 0));
    comparison.add(Float32Array.of(1, 0), Float32Array.of(0, 0));
    expect(comparison.result()).toMatchObject({ worstCosine: Number.NaN, similarities: null });
  });

  test('beyond the first 512 count for the cosines alone', () => {
    const comparison = new EmbeddingComparison();
    for (let i = 0; i < 600; i++) {
      const vector = Float32Array.of(Math.cos(i), Math.sin(i));
      comparison.add(vector, i < 512 ? vector : Float32Array.of(-Math.cos(i), -Math.sin(i)));
    }
    const { meanCosine, worstCosine, neighbours } = comparison.result();
    expect([meanCosine, worstCosine, neighbours]).toEqual([
      expect.closeTo((512 - 88) / 600, 6),
      expect.closeTo(-1, 6),
      1,
    ]);
  });
});
