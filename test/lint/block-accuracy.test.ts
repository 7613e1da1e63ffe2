import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tensorOf } from '../../src/ir/tensor.ts';
import { lintFile, predictOnnxRuntime } from '../../src/lint/lint-file.ts';
import { encodeModel, modelProto } from '../importers/onnx/model.ts';
import { temporaryFolder } from '../pipelines/written.ts';

const folder = temporaryFolder();

/** A file of one MatMulNBits; an undefined level is left out. */
function fileOf(level: number | undefined): string {
  const path = join(folder, `level-${level}.onnx`);
  const attributes = { N: { i: 2 }, K: { i: 32 }, bits: { i: 4 }, block_size: { i: 32 } };
  const node = {
    op: 'com.microsoft::MatMulNBits',
    inputs: ['x', 'w', 's'],
    outputs: ['y'],
    attributes: { ...attributes, ...(level !== undefined && { accuracy_level: { i: level } }) },
  };
  const constants = {
    w: tensorOf('u8', [2, 1, 16], new Uint8Array(32)),
    s: tensorOf('f32', [2, 1], Float32Array.of(0.1, 0.2)),
  };
  const inputs = { x: { dtype: 'f32', shape: ['batch', 32] } } as const;
  writeFileSync(path, encodeModel(modelProto({ opset: 17, inputs, constants, nodes: [node], outputs: ['y'] })));
  return path;
}

test.each([
  [4, []],
  [1, ['its accuracy_level is 1']],
  [undefined, ['its accuracy_level is 0']],
] as const)('MatMulNBits at accuracy level %s computes on integers, or is warned of', (level, problems) => {
  const path = fileOf(level);
  const found = lintFile(path).findings.filter(({ rule }) => rule === 'block-accuracy');
  expect(found.map(({ severity, where }) => [severity, where])).toEqual(problems.map(() => ['warning', 'y']));
  expect(found.map(({ problem }) => problem.split(':')[0])).toEqual(problems);
  expect(predictOnnxRuntime(path)).toEqual([{ where: 'y', kernel: 'MatMulNBits', isLinear: true }]);
});
