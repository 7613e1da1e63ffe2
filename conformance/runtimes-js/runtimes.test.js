// The package as users install it, in each program that runs JavaScript: the same commands, the same bytes written.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const ROOT = join(HERE, '../..');
const work = mkdtempSync(join(tmpdir(), 'mbert-runtimes-'));
const app = join(work, 'app');

const program = (folder, name = 'node') => join(HERE, 'node_modules', folder, 'bin', name);
/** The command that runs a file. */
const RUNTIMES = {
  'Node 20': [program('node20')],
  'Node 22': [program('node22')],
  'Node 24': [program('node24')],
  Bun: [join(HERE, 'node_modules/.bin/bun')],
  Deno: [join(HERE, 'node_modules/.bin/deno'), 'run', '--allow-all'],
};

const LIBRARY = `import { readFileSync } from 'node:fs';
import { diffModels, quantizeInMemory } from 'mbert';
const source = { 'model.onnx': readFileSync('OUT/m.onnx') };
const { files } = await quantizeInMemory({ source, format: 'tflite', scheme: 'dynamic', signal: AbortSignal.timeout(60_000) });
const { same } = await diffModels({ a: 'OUT/m.onnx', b: 'OUT/m.tflite' });
console.log(Object.keys(files).join(), same);
`;

const npm = (...argv) => execFileSync('npm', argv, { cwd: app, encoding: 'utf8' });
/** Digests of what the first runtime wrote. */
let expected;

before(() => {
  mkdirSync(app);
  execFileSync('npm', ['pack', '--pack-destination', work], { cwd: ROOT });
  const [tarball] = readdirSync(work).filter((name) => name.endsWith('.tgz'));
  npm('init', '--yes');
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const runtimes = ['onnxruntime-node', '@litertjs/core'].map((name) => `${name}@${devDependencies[name]}`);
  // onnxruntime-node's script would download what only CUDA needs.
  npm('install', '--ignore-scripts', join(work, tarball), ...runtimes);
  cpSync(join(ROOT, 'fixtures/mobilebert-demo'), join(app, 'demo'), { recursive: true });
});
after(() => rmSync(work, { recursive: true, force: true }));

for (const [name, [command, ...words]] of Object.entries(RUNTIMES)) {
  describe(name, () => {
    const out = name.replace(' ', '');
    const argvOf = (file, argv) => [...words, file, ...argv.map((word) => word.replace('OUT', out))];
    const mbert = join('node_modules', 'mbert', 'bin', 'mbert.js');

    function run(file, ...argv) {
      const result = spawnSync(command, argvOf(file, argv), { cwd: app, encoding: 'utf8' });
      assert.equal(result.status, 0, `${argv.join(' ')}\n${result.stdout}${result.stderr}`);
      return result.stdout;
    }

    test('the command line converts, quantizes, verifies, compares, times', () => {
      const calibrate = ['--calibrate', 'demo/sst2-train-256.txt', '--samples', '24'];
      run(mbert, 'convert', 'demo', '-o', 'OUT/m.tflite', '--verify');
      run(mbert, 'convert', 'demo', '-o', 'OUT/m.onnx', '--verify');
      run(mbert, 'quantize', 'demo', '-o', 'OUT/int8.onnx', '--scheme', 'int8', ...calibrate);
      run(mbert, 'quantize', 'demo', '-o', 'OUT/dynamic.tflite', '--scheme', 'dynamic');
      assert.match(run(mbert, 'verify', 'OUT/m.tflite', '--against', 'demo'), /100\.00 %/);
      assert.match(run(mbert, 'diff', 'OUT/m.onnx', 'OUT/m.tflite'), /same/);
      assert.match(run(mbert, 'inspect', 'OUT/m.tflite', '--format', 'html'), /<\/html>/);
      assert.match(run(mbert, 'bench', 'OUT/m.onnx', 'OUT/m.tflite', '--runs', '3'), /MB +[\d.]+ +/);
    });

    test('what it writes is the same, byte by byte, as elsewhere', () => {
      const digests = ['m.tflite', 'm.onnx', 'int8.onnx', 'dynamic.tflite'].map((file) =>
        createHash('sha256')
          .update(readFileSync(join(app, out, file)))
          .digest('hex'),
      );
      expected ??= digests;
      assert.deepEqual(digests, expected);
    });

    test('a batch starts its jobs in the same program', () => {
      const job = { name: 'a', command: 'convert', args: ['demo', '-o', `${out}/batch.tflite`] };
      writeFileSync(join(app, out, 'jobs.jsonl'), `${JSON.stringify(job)}\n`);
      assert.match(run(mbert, 'batch', 'OUT/jobs.jsonl'), /1 job: 1 done/);
    });

    test('the library takes and gives bytes', () => {
      const file = join(out, 'library.mjs');
      writeFileSync(join(app, file), LIBRARY.replaceAll('OUT', out));
      assert.equal(run(file).trim(), 'model.tflite true');
    });

    test('Ctrl-C leaves nothing behind', async () => {
      const argv = ['quantize', 'demo', '-o', 'OUT/late.onnx', '--scheme', 'int8', '--verbose'];
      const all = [...argv, '--calibrate', 'demo/sst2-train-256.txt'];
      const child = spawn(command, argvOf(mbert, all), { cwd: app, stdio: ['ignore', 'ignore', 'pipe'] });
      child.stderr.setEncoding('utf8').on('data', (text) => {
        if (text.includes('calibrating')) child.kill('SIGINT');
      });
      const code = await new Promise((ended) => child.on('close', ended));
      assert.equal(code, 130);
      assert.deepEqual(
        readdirSync(join(app, out)).filter((name) => name.startsWith('late')),
        [],
      );
    });
  });
}

test('its types are found by every way to resolve modules that has ES modules', () => {
  const [tarball] = readdirSync(work).filter((name) => name.endsWith('.tgz'));
  const attw = join(HERE, 'node_modules/.bin/attw');
  const { status, stdout } = spawnSync(
    attw,
    [join(work, tarball), '--profile', 'esm-only', '--exclude-entrypoints', 'schemas'],
    {
      encoding: 'utf8',
    },
  );
  assert.equal(status, 0, stdout);
});
