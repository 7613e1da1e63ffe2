// The Kotlin of docs/run/android.md that needs no phone, compiled as it stands and run on a JVM. Needs Java and Maven.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { caseOf, cosine } from './answers.js';
import { at, HERE, mbert, minilm, ROOT } from './workspace.js';

const LIBRARIES = join(HERE, 'node_modules/.cache/kotlin');

/** Writes the files of the page that have these names, and returns their paths. */
function extract(names) {
  const page = readFileSync(join(ROOT, 'docs/run/android.md'), 'utf8');
  const blocks = new Map(
    [...page.matchAll(/```kotlin\n\/\/ (\S+)\n([\s\S]*?)```/g)].map(([, name, code]) => [name, code]),
  );
  mkdirSync(at('kotlin'), { recursive: true });
  return names.map((name) => {
    writeFileSync(at('kotlin', name), blocks.get(name));
    return at('kotlin', name);
  });
}

test("the page's tokenizer and ONNX Runtime give sentence-transformers' vectors of all-MiniLM-L6-v2", () => {
  const { texts, answers } = caseOf('all-MiniLM-L6-v2');
  const project = ['-q', '-f', join(HERE, 'kotlin/pom.xml')];
  execFileSync('mvn', [...project, 'dependency:copy-dependencies', `-DoutputDirectory=${LIBRARIES}`]);
  const libraries = join(LIBRARIES, '*');
  const sources = [...extract(['WordPiece.kt', 'OnnxEmbedder.kt']), join(HERE, 'kotlin/Main.kt')];
  const compiler = 'org.jetbrains.kotlin.cli.jvm.K2JVMCompiler';
  const runtime = ['onnxruntime-1.23.0.jar', 'kotlin-stdlib-2.4.21.jar'].map((name) => join(LIBRARIES, name));
  const options = ['-no-stdlib', '-no-reflect', '-cp', runtime.join(delimiter), '-d', at('classes')];
  execFileSync('java', ['-cp', libraries, compiler, ...options, ...sources], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  mbert(['convert', minilm(), '-o', 'android.onnx', '--outputs', 'sentence_embedding']);
  const words = join(minilm(), 'vocab.txt');
  const printed = execFileSync(
    'java',
    ['-cp', [at('classes'), ...runtime].join(delimiter), 'MainKt', at('android.onnx'), words],
    {
      input: texts.join('\n'),
      encoding: 'utf8',
    },
  );
  const vectors = printed
    .trim()
    .split('\n')
    .map((line) => line.split(' ').map(Number));
  assert.equal(vectors.length, texts.length);
  for (const [i, vector] of vectors.entries()) assert.ok(cosine(vector, answers[i]) > 0.999999, texts[i]);
});
