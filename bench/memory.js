// What each command takes for models of four sizes, each in a process of its own: CPU seconds, wall seconds and peak memory.
//   node bench/memory.js [--models mobilebert,bert-base,bert-large,bert-huge] [--cells convert,dynamic,int8,verify,diff] [--formats onnx,tflite] [--text FILE]
// Weights are seeded. int8 calibrates on FILE, a text; by default on made-up sentences. Files lie in the folder for temporary files: 13 GB for the largest.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { table } from './table.js';

const here = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url));
const { values } = parseArgs({
  options: {
    models: { type: 'string', default: 'mobilebert,bert-base,bert-large,bert-huge' },
    cells: { type: 'string', default: 'convert,dynamic,int8,verify,diff' },
    formats: { type: 'string', default: 'onnx,tflite' },
    text: { type: 'string' },
  },
});

/** Runs the command in a process that reports its own CPU time and peak memory, start-up included. */
const CHILD = `
  import { existsSync, readFileSync } from 'node:fs';
  import { main } from ${JSON.stringify(new URL('../dist/main.js', import.meta.url).href)};
  const code = await main(process.argv.slice(1), { out() {}, err: (text) => process.stderr.write(text), isTerminal: false });
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  // Linux counts what the parent had before exec into maxRSS; its high-water mark does not.
  const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : '';
  const peak = Number(/^VmHWM:\\s*(\\d+) kB/m.exec(status)?.[1] ?? maxRSS) * 1024;
  console.log(JSON.stringify({ code, seconds: (userCPUTime + systemCPUTime) / 1e6, megabytes: peak / 1e6 }));
`;

/** @type {(argv: readonly string[]) => string[]} */
function measure(argv) {
  const start = performance.now();
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', CHILD, ...argv], {
    encoding: 'utf8',
  });
  const wall = (performance.now() - start) / 1000;
  const line = stdout.trim().split('\n').at(-1) ?? '';
  if (!line.startsWith('{')) return ['-', wall.toFixed(1), '-', `ended: ${stderr.trim().split('\n').at(-1)}`];
  const { code, seconds, megabytes } = JSON.parse(line);
  const answer = code > 1 ? `refused: ${stderr.split('\n').find((text) => /^\S+: /.test(text)) ?? code}` : String(code);
  return [seconds.toFixed(1), wall.toFixed(1), megabytes.toFixed(0), answer];
}

/** Sentences of words that BERT's vocabulary has, for models whose own words are made up anyway. */
function sentences() {
  const words = ['the', 'film', 'is', 'a', 'fine', 'story', 'of', 'people', 'who', 'never', 'talk', 'about', 'money'];
  return Array.from({ length: 64 }, (_, i) =>
    Array.from({ length: 12 + (i % 20) }, (_, k) => words[(i * 7 + k * k) % words.length]).join(' '),
  ).join('\n');
}

/** The words of `sentences` at the start of a vocabulary of BERT's size. */
function vocabulary() {
  const words = new Set(sentences().split(/\s/));
  const tokens = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', ...words];
  return `${[...tokens, ...Array.from({ length: 30522 - tokens.length }, (_, i) => `[unused${i}]`)].join('\n')}\n`;
}

const folder = mkdtempSync(join(tmpdir(), 'mbert-bench-'));
const cells = values.cells.split(',');
/** @type {string[][]} */
const rows = [];
try {
  const text = values.text ?? join(folder, 'sentences.txt');
  if (values.text === undefined) writeFileSync(text, `${sentences()}\n`);
  for (const model of values.models.split(',')) {
    const source = join(folder, model);
    execFileSync(process.execPath, [here('./make-checkpoint.js'), source, '--model', model], { stdio: 'ignore' });
    writeFileSync(join(source, 'vocab.txt'), vocabulary());
    const megabytes = statSync(join(source, 'model.safetensors')).size / 1e6;
    const limit = 1.5 * megabytes + 120;
    for (const format of values.formats.split(',')) {
      const [written, small] = [join(folder, `${model}.${format}`), join(folder, `${model}-small.${format}`)];
      const shape = ['--sequence-length', '128'];
      const commands = {
        convert: ['convert', source, '-o', written, '--force', ...shape],
        verify: ['verify', written, '--against', source, '--samples', '16'],
        diff: ['diff', written, source],
        dynamic: ['quantize', source, '--scheme', 'dynamic', '-o', small, '--force', ...shape],
        int8: [
          'quantize',
          source,
          '--scheme',
          'int8',
          '--calibrate',
          text,
          '--samples',
          '32',
          '-o',
          small,
          '--force',
          ...shape,
        ],
      };
      for (const [name, argv] of Object.entries(commands)) {
        if (!cells.includes(name)) continue;
        const row = [model, megabytes.toFixed(0), format, name, ...measure(argv), limit.toFixed(0)];
        console.error(row.join(' | '));
        rows.push(row);
      }
      for (const path of [written, `${written}.data`, small, `${small}.data`]) rmSync(path, { force: true });
    }
    rmSync(source, { recursive: true });
  }
  const head = ['model', 'weights MB', 'format', 'command', 'CPU s', 'wall s', 'peak MB', 'answer', '1.5 x + 120 MB'];
  console.log(table([head, ...rows]));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
