import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { integerTensor, tensorOf } from '../../src/ir/tensor.ts';
import { lintFile } from '../../src/lint/lint-file.ts';
import { encodeModel, modelProto } from '../importers/onnx/model.ts';
import { temporaryFolder } from '../pipelines/written.ts';

const folder = temporaryFolder();

/** A file of one MatMulNBits that reads these scales and zero points, each stored (`s`) or computed (`s-made`). */
function fileOf(scales: string, zeroPoints: string, weight = 'w'): string {
  const path = join(folder, `${weight}-${scales}-${zeroPoints}.onnx`);
  const product = {
    op: 'com.microsoft::MatMulNBits',
    inputs: ['x', weight, scales, ...(zeroPoints === '' ? [] : [zeroPoints])],
    outputs: ['y'],
    attributes: { N: { i: 2 }, K: { i: 32 }, bits: { i: 4 }, block_size: { i: 32 }, accuracy_level: { i: 4 } },
  };
  const nodes = [
    { op: 'Identity', inputs: ['s'], outputs: ['s-made'] },
    { op: 'Identity', inputs: ['z'], outputs: ['z-made'] },
    { op: 'Identity', inputs: ['w'], outputs: ['w-renamed'] },
    { op: 'Reshape', inputs: ['w', 'shape'], outputs: ['w-shaped'] },
    product,
  ];
  const constants = {
    shape: integerTensor('i64', [2, 1, 16]),
    w: tensorOf('u8', [2, 1, 16], new Uint8Array(32)),
    s: tensorOf('f32', [2, 1], Float32Array.of(0.1, 0.2)),
    z: tensorOf('u8', [2, 1], Uint8Array.of(7, 8)),
  };
  const inputs = { x: { dtype: 'f32', shape: ['batch', 32] } } as const;
  writeFileSync(path, encodeModel(modelProto({ opset: 17, inputs, constants, nodes, outputs: ['y'] })));
  return path;
}

test.each([
  ['s', '', []],
  ['s', 'z', []],
  ['s-made', '', ['its scales s-made are computed']],
  ['s', 'z-made', ['its zero points z-made are computed']],
  ['s-made', 'z-made', ['its scales s-made are computed', 'its zero points z-made are computed']],
] as const)('MatMulNBits with the scales %s and the zero points "%s"', (scales, zeroPoints, problems) => {
  const found = lintFile(fileOf(scales, zeroPoints)).findings.filter(({ rule }) => rule === 'block-scales');
  expect(found.map(({ severity, where }) => [severity, where])).toEqual(problems.map(() => ['error', 'y']));
  expect(found.map(({ problem }) => problem.split(':')[0])).toEqual(problems);
});

// Identity is taken away by a step of its own, so the weight may be a constant where scales are none.
test.each([
  ['w-shaped', 0],
  ['w-renamed', 2],
])('computed scales and zero points of the weight %s have %i findings', (weight, count) => {
  const { findings } = lintFile(fileOf('s-made', 'z-made', weight));
  expect(findings.filter(({ rule }) => rule === 'block-scales')).toHaveLength(count);
});
