// Which kernels ONNX Runtime makes of the linears of a full-size MobileBERT in integers, counted in the graph that it optimizes, beside
// what the linter predicts: node bench/kernels.js TEXTS.txt VOCAB.txt [layers=24]. Exits 1 where they differ or a linear is left in floats.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import onnxProto from 'onnx-proto';
import { lintFile, predictOnnxRuntime, quantize, runtimeFor } from '../dist/index.js';
import { table } from './table.js';

const [texts, vocab, layers = '24'] = process.argv.slice(2);
if (texts === undefined || vocab === undefined)
  throw new Error('usage: node bench/kernels.js TEXTS.txt VOCAB.txt [layers]');
const KERNELS = [
  'QGemm',
  'QLinearMatMul',
  'MatMulIntegerToFloat',
  'DynamicQuantizeMatMul',
  'MatMulInteger',
  'MatMulNBits',
];
const PRODUCTS = [...KERNELS, 'Gemm', 'FusedGemm', 'MatMul', 'FusedMatMul'];

/** @type {(names: readonly string[]) => string} */
function counted(names) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => `${count} ${name}`).join(', ');
}

const folder = mkdtempSync(join(tmpdir(), 'mbert-kernels-'));
try {
  const source = join(folder, 'checkpoint');
  const maker = fileURLToPath(new URL('./make-checkpoint.js', import.meta.url));
  execFileSync(process.execPath, [maker, source, layers], { stdio: 'ignore' });
  const rows = [];
  for (const scheme of /** @type {const} */ (['int8', 'dynamic'])) {
    const output = join(folder, `${scheme}.onnx`);
    const calibration = scheme === 'int8' ? { calibrate: texts, samples: 16, vocab } : {};
    const { results } = await quantize({ source, output, scheme, sequenceLength: 128, ...calibration });
    const optimizedModelPath = join(folder, `${scheme}-optimized.onnx`);
    await (await runtimeFor(output).load(output, { optimizedModelPath })).close();
    const nodes = onnxProto.onnx.ModelProto.decode(readFileSync(optimizedModelPath)).graph?.node ?? [];
    const rounded = new Set(
      nodes.filter(({ opType }) => opType === 'DequantizeLinear').flatMap(({ output: made }) => made),
    );
    const real = nodes.map(({ opType }) => opType ?? '').filter((op) => KERNELS.includes(op));
    const left = nodes.filter(
      ({ opType, input }) => PRODUCTS.includes(opType ?? '') && input?.some((name) => rounded.has(name)),
    );
    const predicted = predictOnnxRuntime(output).map(({ kernel }) => kernel);
    const linears = Object.entries(results[0]?.linears ?? {}).map(([how, count]) => `${count} ${how}`);
    rows.push([
      scheme,
      linears.join(', '),
      counted(real),
      counted(predicted),
      `${left.length}`,
      `${lintFile(output).findings.length}`,
    ]);
    const isAsPredicted = counted(real.toSorted()) === counted(predicted.toSorted());
    if (!isAsPredicted || left.length > 0) process.exitCode = 1;
  }
  console.log(
    table([['scheme', 'linears', 'kernels', 'predicted', 'DequantizeLinear at products', 'findings'], ...rows]),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
