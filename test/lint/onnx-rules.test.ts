import { describe, expect, test } from 'vitest';
import { readF32, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { onnxRules } from '../../src/lint/index.ts';
import { lint, type RuleFinding } from '../../src/lint/rule.ts';
import { onnxruntime } from '../../src/runtimes/onnxruntime.ts';
import { randomTensor } from '../core.ts';
import {
  dynamicModel,
  floatModel,
  integers,
  type KernelCounts,
  OnnxChanges,
  opened,
  predictedKernels,
  realKernels,
  staticModel,
  toMatMul,
  withFile,
} from './onnx-sample.ts';

const files = { static: staticModel, dynamic: dynamicModel, float: floatModel };

/** `refused`: ONNX Runtime does not load it; `fails`: it does not run. */
type Outcome = KernelCounts | 'refused' | 'fails';

/** A good file, the rule that finds it broken, how it is broken, what is said of it, and what ONNX Runtime makes of it. */
type Row = readonly [
  keyof typeof files,
  string,
  (file: OnnxChanges) => void,
  Omit<RuleFinding, 'rule'>,
  Outcome,
  (readonly string[])?,
];

const error = (where: string, problem: string) => ({ severity: 'error', where, problem }) as const;
const warning = (where: string, problem: string) => ({ severity: 'warning', where, problem }) as const;

const GOOD: KernelCounts = { QGemm: 3 };
const ONE_LEFT: KernelCounts = { QGemm: 2, float: 1 };

const SCALE = 'f32_0.007625460157207414';

function floatBias(file: OnnxChanges): void {
  file.setTensor('down.float', tensorOf('f32', [16], new Float32Array(16).fill(0.5)));
}

const ROWS: readonly Row[] = [
  [
    'static',
    'unfused-inputs',
    (file) => {
      file.changeNode('x.quantized', { inputs: ['x', SCALE] });
      file.changeNode('x.quantized/f32', { inputs: ['x.quantized', SCALE] });
    },
    warning('up/linear', 'its input x.quantized/f32 has no zero point: x.quantized/f32 needs one, also where it is 0'),
    ONE_LEFT,
  ],
  [
    'static',
    'unfused-inputs',
    (file) => {
      // The output is i8 read once, the input i8 read twice: on x86 the two come apart.
      file.setTensor('u8_130', integers('i8', [], [2]));
      file.setTensor('u8_0', integers('i8', [], [-128]));
      file.insert('x.quantized/f32', 'Relu', ['x.quantized/f32'], 'positive');
      file.changeNode('sum', { inputs: ['down', 'side'] });
      file.insert('positive', 'ReduceMax', ['positive'], 'side');
    },
    warning(
      'up/linear',
      'its input x.quantized runs as i8 and its output as u8: i8 with several readers stays i8, other i8 becomes u8',
    ),
    ONE_LEFT,
    ['activation-types'],
  ],
  [
    'static',
    'unfused-weights',
    (file) => file.changeNode('up.weight/f32', { inputs: ['up.weight', 'up.weight/scale'] }),
    warning('up/linear', 'its weight up.weight/f32 has no zero point: up.weight/f32 needs one, also where it is 0'),
    ONE_LEFT,
  ],
  [
    'static',
    'unfused-weights',
    (file) => {
      file.setTensor('head.float', tensorOf('f32', [4, 16], new Float32Array(64).fill(0.25)));
      file.changeNode('out', { inputs: ['sum.quantized/f32', 'head.float', 'head.bias/f32'] });
    },
    warning('out', 'its weight is f32'),
    ONE_LEFT,
  ],
  [
    'static',
    'unfused-biases',
    (file) => {
      floatBias(file);
      file.changeNode('down', { inputs: ['up/f32', 'down.weight/f32', 'down.float'] });
    },
    warning('down', 'its bias down.float is f32: an i32 bias of the scale s_x·s_w becomes a part of the QGemm'),
    ONE_LEFT,
  ],
  [
    'static',
    'unfused-biases',
    (file) => {
      floatBias(file);
      toMatMul(file, 'down', 'down.float');
    },
    warning('down', 'its bias down.float is f32: an i32 bias of the scale s_x·s_w becomes a part of the QGemm'),
    ONE_LEFT,
  ],
  [
    'static',
    'unfused-products',
    (file) => file.changeNode('down', { attributes: { transB: { int: 1 }, alpha: { float: 0.5 } } }),
    warning('down', 'its alpha is 0.5, only 1 becomes a QGemm'),
    ONE_LEFT,
  ],
  [
    'static',
    'unfused-products',
    (file) => file.changeNode('down', { attributes: { transB: { int: 1 }, beta: { float: 0.5 } } }),
    warning('down', 'its beta is 0.5, only 1 becomes a QGemm'),
    ONE_LEFT,
  ],
  [
    'dynamic',
    'unfused-products',
    (file) => {
      file.changeNode('side/rescale', { inputs: ['x/dynamic/scale', 'scale'] });
      file.changeNode('up/rescale', { inputs: ['x/dynamic/scale', 'scale'] });
      file.setTensor('scale', tensorOf('f32', [], Float32Array.of(0.01)));
    },
    warning(
      'up/integers',
      'another product has the same scales: ONNX Runtime computes s_x·s_w once for both, and fuses neither',
    ),
    { MatMulInteger: 2, DynamicQuantizeMatMul: 2 },
    ['weight-channels'],
  ],
  [
    'dynamic',
    'unfused-products',
    (file) => file.addOutput('down/cast', ['tokens', 16]),
    warning(
      'down/integers',
      'it is not followed by Cast and a Mul by s_x·s_w alone, which would become one kernel with it',
    ),
    { MatMulInteger: 1, MatMulIntegerToFloat: 2, DynamicQuantizeMatMul: 1 },
  ],
  [
    'static',
    'blocked-outputs',
    (file) => {
      file.append('QuantizeLinear', ['down', SCALE, 'u8_130'], 'down.quantized');
      file.append('DequantizeLinear', ['down.quantized', SCALE, 'u8_130'], 'rounded');
      file.addOutput('rounded', ['tokens', 16]);
    },
    warning(
      'down',
      'a QuantizeLinear and something else read its output: only a QuantizeLinear alone becomes a part of it',
    ),
    ONE_LEFT,
  ],
  [
    'static',
    'blocked-outputs',
    (file) => file.setElement('u8_0', 0, 3),
    warning('up/linear', 'up/real stays where its QuantizeLinear has the zero point 3, not 0'),
    ONE_LEFT,
  ],
  [
    'static',
    'blocked-outputs',
    (file) => {
      file.insert('out', 'Relu', ['out'], 'last');
      file.insert('last', 'Neg', ['last'], 'negative');
      file.addOutput('negative', ['tokens', 4]);
      file.model = { ...file.model, outputs: file.model.outputs.slice(1) };
    },
    warning('out', 'last is behind it without a QuantizeLinear: the two become a FusedGemm of floats'),
    ONE_LEFT,
  ],
  [
    'static',
    'weight-zero-points',
    (file) => file.setElement('i8_zeros_32', 7, 3),
    warning('up.weight', 'i8 weight has the zero point 3 (entry 7), 0 is symmetric'),
    GOOD,
  ],
  [
    'static',
    'weight-types',
    (file) => {
      file.setTensor(
        'up.weight',
        integers(
          'u8',
          [32, 16],
          Array.from({ length: 512 }, (_, i) => i % 255),
        ),
      );
      file.setTensor('i8_zeros_32', integers('u8', [32], [128]));
    },
    warning('up.weight', 'weight is u8, which takes the slow kernel for u8 with u8'),
    GOOD,
  ],
  [
    'static',
    'weight-channels',
    (file) => {
      file.setTensor('head.weight/scale', tensorOf('f32', [], Float32Array.of(0.01)));
      file.setTensor('i8_zeros_4', integers('i8', [], [0]));
      file.setTensor('head.bias/scale', tensorOf('f32', [], Float32Array.of(0.05958393134322821 * 0.01)));
      for (const name of ['head.weight/f32', 'head.bias/f32']) file.changeNode(name, { attributes: {} });
    },
    warning('head.weight', 'weight has one scale for all of its 4 outputs'),
    GOOD,
  ],
  [
    'static',
    'bias-scales',
    (file) => file.setElement('head.bias/scale', 2, 1),
    error('head.bias', 'scale 2 is 1, and s_x·s_w is 0.0004557817907853423'),
    GOOD,
  ],
  [
    'static',
    'bias-scales',
    (file) => {
      file.setTensor('zero', integers('i32', [4], [0, 0, 9, 0]));
      file.changeNode('head.bias/f32', { inputs: ['head.bias', 'head.bias/scale', 'zero'] });
    },
    error('head.bias', 'is a bias with the zero point 9'),
    GOOD,
  ],
  [
    'static',
    'activation-types',
    (file) => file.setTensor('u8_133', integers('i8', [], [5])),
    warning('sum.quantized', 'is quantized to i8; u8 is fast everywhere'),
    GOOD,
  ],
  [
    'static',
    'scalar-scales',
    (file) => {
      file.reshape('u8_133', [1]);
      file.reshape('f32_0.05958393134322821', [1]);
    },
    warning('f32_0.05958393134322821', 'has the shape [1], and rank 0 is safe'),
    GOOD,
  ],
  [
    'static',
    'scales',
    (file) => file.setElement('up.weight/scale', 9, 0),
    error('up.weight/scale', 'scale 9 is 0'),
    GOOD,
    ['bias-scales'],
  ],
  [
    'static',
    'scales',
    (file) => file.setTensor('i8_zeros_16', integers('i8', [8], [0])),
    error('down.weight', 'has 16 scales and 8 zero points'),
    'fails',
  ],
  [
    'static',
    'scales',
    (file) => file.changeNode('down.weight/f32', { attributes: { axis: { int: 1 } } }),
    // A QGemm takes the scales of its outputs, whatever the axis; other runtimes do not.
    error('down.weight', 'has 16 scales for axis 1 of size 32'),
    GOOD,
  ],
  [
    'dynamic',
    'shared-rounding',
    (file) => {
      file.prepend('DynamicQuantizeLinear', ['x'], 'again');
      file.changeNode('again', { outputs: ['again', 'again/scale', 'again/zero_point'] });
      file.changeNode('side/integers', { inputs: ['again', 'side.weight', 'again/zero_point'] });
      file.changeNode('side/rescale', { inputs: ['again/scale', 'side.weight/scale'] });
    },
    warning('x', 'has 2 DynamicQuantizeLinear, one is enough'),
    { MatMulIntegerToFloat: 2, DynamicQuantizeMatMul: 2 },
  ],
  [
    'static',
    'operator-versions',
    (file) => {
      file.setTensor('u8_130', integers('u16', [], [300]));
    },
    error('x.quantized', 'QuantizeLinear of u16 needs opset 21, the file has 17'),
    'refused',
    ['unfused-inputs'],
  ],
  [
    'static',
    'operator-versions',
    (file) => {
      file.model = { ...file.model, opset: 12 };
    },
    error('up.bias/f32', 'DequantizeLinear per channel needs opset 13, the file has 12'),
    'refused',
  ],
  [
    'float',
    'f16-overflow',
    (file) => {
      file.setTensor('least', tensorOf('f16', [], Uint16Array.of(0xfc00)));
      file.append('Cast', ['least'], 'wide', { to: { int: 1 } });
      file.append('Add', ['out', 'wide'], 'masked');
      file.addOutput('masked', ['tokens', 4]);
    },
    error('least', 'holds -Infinity, and f16 ends at 65504'),
    {},
  ],
  [
    'float',
    'f16-overflow',
    (file) => {
      file.setTensor('least', tensorOf('f32', [], Float32Array.of(-1e9)));
      file.append('Cast', ['least'], 'half', { to: { int: 10 } });
      file.append('Cast', ['half'], 'wide', { to: { int: 1 } });
      file.append('Add', ['out', 'wide'], 'masked');
      file.addOutput('masked', ['tokens', 4]);
    },
    error('least', 'holds -1000000000, and f16 ends at 65504'),
    {},
  ],
  [
    'float',
    'f16-overflow',
    (file) => {
      file.setTensor('least', tensorOf('f32', [], Float32Array.of(-1e9)));
      file.append('Add', ['out', 'least'], 'masked');
      file.addOutput('masked', ['tokens', 4]);
    },
    warning('least', 'holds -1000000000, which is infinite in f16'),
    {},
  ],
];

async function run(path: string, graphOptimization = true): Promise<Float32Array> {
  const session = await onnxruntime.load(path, { graphOptimization, threads: 1 });
  try {
    const outputs = await session.run(new Map([['x', randomTensor({ dtype: 'f32', shape: [5, 16] }, 7)]]));
    return readF32(outputs.get('out') as Tensor);
  } finally {
    await session.close();
  }
}

describe('a broken file is caught, and ONNX Runtime makes of it what is predicted', () => {
  test.each(ROWS.map((row, i) => [i + 1, row[0], row[1], row] as const))(
    '%i: %s file, %s',
    async (_, kind, rule, row) => {
      const [, , change, finding, outcome, others = []] = row;
      const file = new OnnxChanges(files[kind]());
      change(file);
      await withFile(file.model, async (path, folder) => {
        const { findings, predicted } = opened(path, (model) => ({
          findings: lint(onnxRules, model),
          predicted: predictedKernels(model),
        }));
        expect(findings).toContainEqual({ rule, ...finding });
        expect(new Set(findings.map((found) => found.rule))).toEqual(new Set([rule, ...others]));
        if (outcome === 'refused') {
          await expect(realKernels(path, folder)).rejects.toMatchObject({ code: 'MALFORMED' });
          return;
        }
        if (outcome === 'fails') {
          await expect(run(path)).rejects.toMatchObject({ code: 'MISMATCH' });
          return;
        }
        expect(predicted).toEqual(outcome);
        expect(await realKernels(path, folder)).toEqual(outcome);
      });
    },
  );
});

test.each([
  ['static', GOOD],
  ['dynamic', { MatMulIntegerToFloat: 2, DynamicQuantizeMatMul: 2 }],
  ['float', {}],
] as const)('the good %s file has nothing to say', async (kind, kernels) => {
  await withFile(files[kind](), async (path, folder) => {
    opened(path, (model) => {
      expect(lint(onnxRules, model)).toEqual([]);
      expect(predictedKernels(model)).toEqual(kernels);
    });
    expect(await realKernels(path, folder)).toEqual(kernels);
  });
});

test('a bias of another scale is computed wrongly where it becomes part of a QGemm', async () => {
  const file = new OnnxChanges(staticModel());
  file.setElement('head.bias/scale', 2, 1);
  const [fused, asWritten] = await withFile(file.model, async (path) => [await run(path), await run(path, false)]);
  expect(Math.abs((fused?.[2] as number) - (asWritten?.[2] as number))).toBeGreaterThan(10);
  expect(Math.abs((fused?.[1] as number) - (asWritten?.[1] as number))).toBeLessThan(0.1);
});
