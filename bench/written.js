import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';

/**
 * Hashes what mbert writes and prints for every model of a folder of fixtures, so that a change which is to change nothing
 * can be checked: `node bench/written.js > before`, then `node bench/written.js --against before`.
 *
 * `--package DIR` runs the build of another checkout, `--corpus DIR` (as often as wanted) looks for models elsewhere,
 * `--only REGEX` takes some of them.
 */
const { values } = parseArgs({
  options: {
    package: { type: 'string', default: '.' },
    corpus: { type: 'string', multiple: true, default: ['fixtures'] },
    only: { type: 'string', default: '' },
    against: { type: 'string' },
  },
});

/** @type {{ main(argv: readonly string[], io: object): Promise<number> }} */
const { main } = await import(pathToFileURL(join(resolve(values.package), 'dist/main.js')).href);

/** Lines to calibrate on, for models that have a vocabulary; 60 give every step of quantization something to do. */
const TEXTS = readFileSync('fixtures/mobilebert-demo/sst2-train-256.txt', 'utf8').split('\n').slice(0, 60).join('\n');

/** What is measured anew at each run, in JSON: seconds, rates and memory. */
const MEASURED =
  /("(?:\w*(?:Ms|Seconds|Bytes per second)|times|speed|speedup|timing\w*)": )(?:-?[\d.e+-]+|\{[^{}]*\}|\[[^[\]]*\])/g;

/** @param {string | Uint8Array} bytes */
const digest = (bytes) => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

const root = mkdtempSync(join(tmpdir(), 'mbert-written-'));
/** @type {string[]} */
const lines = [];
try {
  writeFileSync(join(root, 'texts.txt'), TEXTS);
  for (const corpus of values.corpus) {
    for (const name of readdirSync(corpus).sort()) {
      if (!new RegExp(values.only).test(name) || !existsSync(join(corpus, name, 'manifest.json'))) continue;
      await hashModel(join(corpus, name));
    }
  }
} finally {
  rmSync(root, { recursive: true, force: true });
}

if (values.against === undefined) console.log(lines.join('\n'));
else process.exitCode = compare(readFileSync(values.against, 'utf8').trimEnd().split('\n'), lines);

/**
 * Runs the commands that write or print something of a model.
 * @param {string} folder
 */
async function hashModel(folder) {
  const name = `${basename(dirname(folder))}/${basename(folder)}`;
  const source = unpack(folder, join(root, 'source'));
  const texts = ['--calibrate', join(root, 'texts.txt'), '--samples', '24', ...vocabulary(source)];
  const both = ['-o', 'OUT', '--json'];
  const groups = [
    [
      ['inspect', source, '--graph'],
      ['inspect', source, '--graph', '--target', 'tflite'],
      ['inspect', source, '--graph', '--target', 'onnx'],
      ['convert', source, ...both, '--verify'],
      ['diff', source, 'OUT/model.tflite', '--json'],
      ['diff', 'OUT/model.onnx', 'OUT/model.tflite', '--format', 'markdown'],
      ['verify', 'OUT/model.onnx', '--against', source, '--json', '--lint'],
      ['verify', 'OUT/model.tflite', '--against', 'OUT/model.onnx', '--json', '--lint'],
    ],
    [['convert', source, ...both, '--dtype', 'f16', '--passes', 'none']],
    [['quantize', source, ...both, '--scheme', 'dynamic']],
    [['quantize', source, ...both, '--scheme', 'w4', ...texts]],
    [['quantize', source, ...both, '--scheme', 'int8', '--bias-correction', ...texts]],
    [['quantize', source, '-o', 'OUT/model.tflite', '--json', '--scheme', 'int16x8', ...texts]],
    [['convert', source, ...both, '--passes', 'layer-norm-to-no-norm,gelu-to-relu', '--distill', '2', ...texts]],
  ];
  for (const commands of groups) {
    const out = join(root, 'out');
    mkdirSync(out);
    const prefix = commands.map((argv) => labelOf(argv, source)).find((label) => label.includes('-o')) ?? '';
    for (const argv of commands) {
      const { code, printed } = await run(argv.map((word) => word.replace(/^OUT/, out)));
      lines.push(`${name}: ${labelOf(argv, source)}: exit ${code}, prints ${digest(printed)}`);
    }
    for (const file of readdirSync(out).sort()) {
      const bytes = readFileSync(join(out, file));
      lines.push(`${name}: ${prefix}: ${file}: ${bytes.length} ${digest(bytes)}`);
    }
    rmSync(out, { recursive: true });
  }
  if (process.stderr.isTTY) process.stderr.write(`\r${name.padEnd(60)}`);
}

/**
 * A command line without paths of this run.
 * @param {readonly string[]} argv
 * @param {string} source
 */
function labelOf(argv, source) {
  return argv.map((word) => (word === source ? 'SOURCE' : word.replaceAll(root, ''))).join(' ');
}

/**
 * The fixtures share one vocabulary; graphs come without.
 * @param {string} source
 */
function vocabulary(source) {
  const folder = statSync(source).isDirectory() ? source : dirname(source);
  return existsSync(join(folder, 'vocab.txt')) ? [] : ['--vocab', 'fixtures/hf-qa/vocab.txt'];
}

/** @param {readonly string[]} argv */
async function run(argv) {
  let printed = '';
  const write = (/** @type {string} */ text) => {
    printed += text;
  };
  const code = await main(argv, { out: write, err: write, isTerminal: false });
  return { code, printed: printed.replaceAll(root, '').replace(MEASURED, '$1#') };
}

/**
 * A copy of a fixture as the tools wrote it, and what of it a user would name.
 * @param {string} folder
 * @param {string} to
 */
function unpack(folder, to) {
  rmSync(to, { recursive: true, force: true });
  cpSync(folder, to, { recursive: true });
  for (const file of readdirSync(to, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.gz')) continue;
    writeFileSync(join(to, file.slice(0, -3)), gunzipSync(readFileSync(join(to, file))));
    rmSync(join(to, file));
  }
  const graph = readdirSync(to).find((file) => /\.(onnx|tflite|pb|h5)$/.test(file));
  return graph === undefined || existsSync(join(to, 'saved_model.pb')) ? to : join(to, graph);
}

/**
 * Prints the lines that differ; the exit code says whether any do.
 * @param {readonly string[]} before
 * @param {readonly string[]} after
 */
function compare(before, after) {
  const [was, is] = [new Set(before), new Set(after)];
  const gone = before.filter((line) => !is.has(line));
  const come = after.filter((line) => !was.has(line));
  for (const line of gone) console.log(`- ${line}`);
  for (const line of come) console.log(`+ ${line}`);
  console.log(`${after.length} lines, ${come.length} of them differ`);
  return gone.length + come.length === 0 ? 0 : 1;
}
