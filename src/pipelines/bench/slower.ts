import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeTemporaryFolder } from '../../io/temporary-folder.ts';
import { lintFile } from '../../lint/lint-file.ts';
import { openOnnx } from '../../lint/onnx/model.ts';
import type { RuleFinding } from '../../lint/rule.ts';
import { onnxruntime } from '../../runtimes/onnxruntime.ts';
import type { BenchModel } from './models.ts';

/** Tokens of a run below which it is overhead more than arithmetic. */
const FEW_TOKENS = 16;
const MAX_FINDINGS = 3;

/**
 * Reasons why a file of integers or f16 may run no faster than floats: in the graph that its runtime made of it, in
 * what lint rules find, and in what the machine lacks.
 */
export async function reasonsFor(model: BenchModel, tokens: number): Promise<string[]> {
  const reasons = model.format === 'onnx' ? await fromOptimized(model.path) : [];
  if (model.storage === 'f16' && model.format === 'tflite') {
    reasons.push('LiteRT in WebAssembly unpacks f16 weights at every run');
  }
  reasons.push(...fromRules(lintFile(model.path).findings));
  if (model.storage === 'integers' && lacksVnni()) {
    reasons.push(
      'this processor has no VNNI: products of 8-bit integers take twice the instructions of those that have',
    );
  }
  if (tokens < FEW_TOKENS) reasons.push(`${tokens} tokens a run leave products little of the time`);
  return reasons;
}

/** Reasons that show in the optimized graph, which ONNX Runtime runs in the end. */
async function fromOptimized(path: string): Promise<string[]> {
  const folder = makeTemporaryFolder('bench');
  try {
    const optimizedModelPath = join(folder.path, 'optimized.onnx');
    await (await onnxruntime.load(path, { optimizedModelPath, threads: 1 })).close();
    const { model, close } = openOnnx(optimizedModelPath);
    close();
    const count = (...ops: readonly string[]) => model.nodes.filter(({ op }) => ops.includes(op)).length;
    const integer = count('QGemm', 'QLinearMatMul', 'MatMulIntegerToFloat', 'DynamicQuantizeMatMul');
    const float = model.nodes.filter(
      ({ op, inputs }) =>
        FLOAT_PRODUCTS.includes(op) && inputs.some((name) => isDequantized(model.makers.get(name)?.op)),
    ).length;
    const elementwise = count('QLinearAdd', 'QLinearMul', 'QLinearSoftmax', 'QLinearSigmoid', 'QLinearConcat');
    const unpacked = count('MatMulNBits');
    const unfused = count('MatMulInteger');
    const reasons: string[] = [];
    if (float > 0) {
      reasons.push(
        `${float} products run in floats behind ${count('DequantizeLinear')} DequantizeLinear, ${integer} in integers`,
      );
    }
    if (unfused > 0) reasons.push(`${unfused} MatMulInteger stay apart from their Cast and Mul`);
    if (unpacked > 0) reasons.push(`${unpacked} products have integer weights only and unpack them at each run`);
    if (elementwise > integer) {
      reasons.push(`${elementwise} elementwise operators run on integers, which costs more than it saves`);
    }
    return reasons;
  } finally {
    folder.remove();
  }
}

const FLOAT_PRODUCTS = ['Gemm', 'FusedGemm', 'MatMul', 'FusedMatMul'];

function isDequantized(op: string | undefined): boolean {
  return op === 'DequantizeLinear';
}

/** Rules whose findings cost time; what others find may be wrong but costs none. */
const SPEED_RULES: ReadonlySet<string> = new Set([
  'unfused-inputs',
  'unfused-weights',
  'unfused-biases',
  'unfused-products',
  'blocked-outputs',
  'weight-types',
  'activation-types',
  'matmul-zero-points',
  'fused-activations',
  'xnnpack-partitions',
]);

function fromRules(all: readonly RuleFinding[]): string[] {
  const findings = all.filter(({ rule }) => SPEED_RULES.has(rule));
  const firsts = findings.filter(({ rule }, i) => findings.findIndex((other) => other.rule === rule) === i);
  return firsts.slice(0, MAX_FINDINGS).map(({ rule, where, problem }) => {
    const count = findings.filter((finding) => finding.rule === rule).length;
    return `${rule}${count > 1 ? ` (${count} times)` : ''}: ${where}: ${problem}`;
  });
}

const CPU_INFO = '/proc/cpuinfo';

/** True where the processor is known to lack VNNI; only Linux tells. */
function lacksVnni(): boolean {
  if (process.arch !== 'x64' || !existsSync(CPU_INFO)) return false;
  const flags = /^flags\s*:(.*)$/m.exec(readFileSync(CPU_INFO, 'utf8'))?.[1];
  return flags !== undefined && !/\bavx(512)?_vnni\b/.test(flags);
}
