// What `mbert diff` takes for large models, each in a process of its own: node bench/diff.js [layers=24]
// Full-size MobileBERTs from two seeds, as checkpoints and as files of both formats; graph text of 50,000 nodes with shuffled names.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { convert } from '../dist/index.js';
import { median, table } from './table.js';

const here = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url));
const [layers = '24'] = process.argv.slice(2);
const RUNS = 3;
const GRAPH_NODES = 50_000;

/** Runs the command in a process that reports its own CPU time and peak memory, start-up included. */
const CHILD = `
  import { existsSync, readFileSync } from 'node:fs';
  import { main } from ${JSON.stringify(new URL('../dist/main.js', import.meta.url).href)};
  let answer = '';
  const code = await main(process.argv.slice(1), { out: (text) => (answer += text), err: (text) => process.stderr.write(text), isTerminal: false });
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  // Linux counts what the parent had before exec into maxRSS; its high-water mark does not.
  const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : '';
  const peak = Number(/^VmHWM:\\s*(\\d+) kB/m.exec(status)?.[1] ?? maxRSS) * 1024;
  console.log(JSON.stringify({ code, last: answer.trim().split('\\n').at(-1), seconds: (userCPUTime + systemCPUTime) / 1e6, megabytes: peak / 1e6 }));
`;

/** @type {(a: string, b: string) => string[]} */
function measure(a, b) {
  const runs = Array.from({ length: RUNS }, () => {
    const start = performance.now();
    const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', CHILD, 'diff', a, b], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(stderr);
    const found = JSON.parse(stdout);
    if (found.code > 1) throw new Error(stderr);
    return { ...found, wall: (performance.now() - start) / 1000 };
  });
  const all = (/** @type {string} */ field) => runs.map((run) => run[field]);
  return [
    Math.min(...all('seconds')).toFixed(2),
    median(all('wall')).toFixed(2),
    Math.max(...all('megabytes')).toFixed(0),
    runs[0].last,
  ];
}

/** Layers in a chain, twelve nodes each; names from a seed, or telling ones. */
function graphText(/** @type {boolean} */ isShuffled) {
  let count = 0;
  const named = new Map();
  const name = (/** @type {string} */ text) => {
    if (!isShuffled) return text;
    // A permutation without a pattern: what comes first has nothing to do with what is called first.
    if (!named.has(text)) named.set(text, `v${((count++ * 2_654_435_761) % 2 ** 32).toString(36)}`);
    return named.get(text);
  };
  const lines = ['graph deep (x: f32[rows, 64])'];
  const perLayer = 10;
  let x = 'x';
  for (let layer = 0; layer * perLayer < GRAPH_NODES; layer++) {
    const at = (/** @type {string} */ part) => name(`l${layer}.${part}`);
    const weight = (/** @type {string} */ part, /** @type {number} */ n) =>
      `${name(`layer.${layer}.${part}`)} f32[64, 64] #${(1 + layer * 8 + n).toString(16).padStart(8, '0')}`;
    lines.push(
      `  ${at('q')} = linear(${x}, ${weight('q', 0)})`,
      `  ${at('k')} = linear(${x}, ${weight('k', 1)})`,
      `  ${at('v')} = linear(${x}, ${weight('v', 2)})`,
      `  ${at('scores')} = matmul(${at('q')}, ${at('k')}) {transposeB: true}`,
      `  ${at('shares')} = softmax(${at('scores')})`,
      `  ${at('mixed')} = matmul(${at('shares')}, ${at('v')})`,
      `  ${at('output')} = linear(${at('mixed')}, ${weight('output', 3)})`,
      `  ${at('sum')} = add(${at('output')}, ${x})`,
      `  ${at('up')} = gelu(${at('sum')})`,
      `  ${at('out')} = add(${at('up')}, ${at('sum')})`,
    );
    x = at('out');
  }
  return `${lines.join('\n')}\nreturn y: ${x}\n`;
}

const folder = mkdtempSync(join(tmpdir(), 'mbert-bench-'));
try {
  const sides = ['1', '2'].map((seed) => {
    const source = join(folder, `checkpoint-${seed}`);
    execFileSync(process.execPath, [here('./make-checkpoint.js'), source, layers, seed], { stdio: 'ignore' });
    return { source, onnx: join(folder, `${seed}.onnx`), tflite: join(folder, `${seed}.tflite`) };
  });
  for (const { source, onnx, tflite } of sides) {
    for (const output of [onnx, tflite]) await convert({ source, output, sequenceLength: 128 });
  }
  const [first, second] = sides;
  if (first === undefined || second === undefined) throw new Error('there are two sides');
  const [plain, shuffled] = [false, true].map((isShuffled, i) => {
    const path = join(folder, `${i}.graph`);
    writeFileSync(path, graphText(isShuffled));
    return path;
  });
  if (plain === undefined || shuffled === undefined) throw new Error('there are two graphs');
  const rows = [
    ['checkpoint, checkpoint of other weights', ...measure(first.source, second.source)],
    ['ONNX, ONNX of other weights', ...measure(first.onnx, second.onnx)],
    ['TFLite, TFLite of other weights', ...measure(first.tflite, second.tflite)],
    ['checkpoint, its ONNX', ...measure(first.source, first.onnx)],
    ['checkpoint, its TFLite', ...measure(first.source, first.tflite)],
    ['ONNX, TFLite of other weights', ...measure(first.onnx, second.tflite)],
    [`${GRAPH_NODES} nodes, shuffled names`, ...measure(plain, shuffled)],
  ];
  console.log(table([['models', 'CPU s', 'wall s', 'peak MB', 'answer'], ...rows]));
  console.log(`\nCPU: least of ${RUNS}, wall: median, memory: largest; whole processes, Node's start included`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
