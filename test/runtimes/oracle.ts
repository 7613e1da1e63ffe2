import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readNpy } from '../../src/formats/npy.ts';
import { DTYPES, readF32, type Tensor } from '../../src/ir/tensor.ts';

interface Manifest {
  readonly inputs: { readonly [name: string]: { readonly file: string } };
  readonly expected: { readonly [name: string]: { readonly file: string } };
  readonly tolerance: { readonly [name: string]: { readonly atol: number; readonly rtol: number } };
}

/** A fixture: a model made by a real framework, inputs, and what that framework computes from them. */
export interface Oracle {
  readonly path: (file: string) => string;
  readonly inputs: ReadonlyMap<string, Tensor>;
  /** Outputs with the largest error that the fixture's manifest allows. */
  readonly expected: ReadonlyMap<string, { readonly values: Tensor; readonly tolerance: number }>;
}

export function readOracle(name: string): Oracle {
  const path = (file: string) => fileURLToPath(new URL(`../../fixtures/${name}/${file}`, import.meta.url));
  const manifest = JSON.parse(readFileSync(path('manifest.json'), 'utf8')) as Manifest;
  const read = (file: string) => readNpy(readFileSync(path(file)), file);
  return {
    path,
    inputs: new Map(Object.entries(manifest.inputs).map(([input, { file }]) => [input, read(file)])),
    expected: new Map(
      Object.entries(manifest.expected).map(([output, { file }]) => [
        output,
        { values: read(file), tolerance: manifest.tolerance[output]?.atol ?? 0 },
      ]),
    ),
  };
}

/** Row `i` of a batch, as a batch of one. */
export function row(tensor: Tensor, i: number): Tensor {
  const [, ...rest] = tensor.shape;
  const size = rest.reduce((product, dim) => product * dim, DTYPES[tensor.dtype] / 8);
  const bytes = tensor.bytes().slice(i * size, (i + 1) * size);
  return { dtype: tensor.dtype, shape: [1, ...rest], bytes: () => bytes };
}

export function largestError(actual: Tensor | undefined, expected: Tensor): number {
  const values = actual ? readF32(actual) : new Float32Array(0);
  const wanted = readF32(expected);
  if (values.length !== wanted.length) return Number.POSITIVE_INFINITY;
  // A NaN makes the maximum NaN, which is below no tolerance.
  return Math.max(...wanted.map((value, i) => Math.abs(value - (values[i] as number))));
}
