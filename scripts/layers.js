// Checks which folders of src/ import which, as part of `npm run check`. Circles of files are found by Biome.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Places of src/, from what everything stands on down to the entry points. A place imports only from the lines above its own, so those
 * of one line do not know each other.
 */
const LAYERS = [
  ['errors.ts', 'printable.ts', 'version.ts', 'reports/html/page/'],
  ['io/', 'ir/', 'metrics/'],
  ['formats/', 'solve/', 'diff/', 'gradient/', 'observers/'],
  ['runtimes/', 'exporters/', 'importers/', 'models/', 'passes/', 'samples/', 'quantization/'],
  ['calibration/', 'lint/', 'options/'],
  ['opened/'],
  ['pipelines/evaluate/'],
  ['pipelines/write/'],
  ['pipelines/training/'],
  ['pipelines/fit/'],
  [
    'batch',
    'bench',
    'convert',
    'diff',
    'distill',
    'explain',
    'extract',
    'inspect',
    'map-layers',
    'quantize',
    'verify',
  ].map((command) => `pipelines/${command}/`),
  ['pipelines/folder/', 'pipelines/compare/'],
  ['pipelines/search/'],
  ['reports/', 'in-memory.ts'],
  ['viewer/', 'library-types.ts'],
  ['commands/', 'index.ts'],
];

/** An import or export from a relative path, type imports and `import()` included, as Biome formats it. */
const IMPORT = /(?:^(?:import|export)\s[^;'"`=()]*?\bfrom\s+|^import\s+|\bimport\(\s*)'(\.[^']+)'/gm;

/**
 * One line for each import that goes up or sideways, and for each file that is in no place.
 * @param {string} folder holds the places
 * @param {readonly (readonly string[])[]} layers
 */
export function layerErrors(folder, layers = LAYERS) {
  // The longest first: a place inside another one is not part of it.
  const places = layers.flatMap((names, rank) => names.map((name) => ({ name, rank })));
  places.sort((a, b) => b.name.length - a.name.length);
  const placeOf = (/** @type {string} */ file) => places.find(({ name }) => file.startsWith(name));
  const errors = [];
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    if (!/\.[jt]s$/.test(name)) continue;
    const file = name.replaceAll(sep, '/');
    const from = placeOf(file);
    if (from === undefined) {
      errors.push(`${file}: is in no place that scripts/layers.js lists`);
      continue;
    }
    const text = readFileSync(join(folder, name), 'utf8');
    for (const { 0: statement, 1: path = '', index } of text.matchAll(IMPORT)) {
      const target = relative(folder, resolve(folder, dirname(name), path)).replaceAll(sep, '/');
      const to = placeOf(target);
      if (to === from || (to !== undefined && to.rank < from.rank)) continue;
      const line = text.slice(0, index + statement.length).split('\n').length;
      errors.push(`${file}:${line}: ${from.name} may not import ${target}, which is not above it in scripts/layers.js`);
    }
  }
  return errors;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const errors = layerErrors('src');
  for (const error of errors) console.error(`src/${error}`);
  process.exitCode = errors.length === 0 ? 0 : 1;
}
