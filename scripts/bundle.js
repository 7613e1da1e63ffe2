// Joins the modules of src/ into the few files of dist/, as part of `npm run build`: a start spends most of its time on opening files.
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Files that are opened by name, with the modules that they are made of. */
const ENTRIES = { index: 'src/index.ts', main: 'src/commands/main.ts', signals: 'src/commands/signals.ts' };

/** What runs in a thread or process of its own. It shares no file with the others, as each that does splits what they share. */
const PROGRAMS = {
  'gradient-worker': 'src/pipelines/training/gradient-worker.ts',
  'progress-worker': 'src/commands/progress-worker.ts',
  'measure-memory': 'src/pipelines/bench/measure-memory.ts',
};

const { dependencies, peerDependencies } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
);
/** Packages that users install with this one. */
const PACKAGES = Object.keys({ ...dependencies, ...peerDependencies });

/** @param {string} id */
function isPackage(id) {
  return id.startsWith('node:') || PACKAGES.some((name) => id === name || id.startsWith(`${name}/`));
}

/**
 * Bundles modules with what they import, packages left out. All files lie in one folder, one deep in the package as `src/version.ts` is, so
 * that its address of the package holds in both.
 * @param {{ readonly [name: string]: string }} entries
 * @param {string} folder
 */
async function bundle(entries, folder) {
  const build = await rolldown({
    cwd: ROOT,
    input: entries,
    platform: 'node',
    external: isPackage,
    // How long callbacks take is told as a warning, too, on a machine that is busy.
    checks: { bundlerTimings: false },
    // An import that leads nowhere is but a warning.
    onwarn({ message }) {
      throw new Error(message);
    },
  });
  await build.write({ dir: join(ROOT, folder), format: 'esm', chunkFileNames: '[name]-[hash].js' });
  await build.close();
}

/**
 * Loads modules of src/ that the package does not export.
 * @param {readonly string[]} paths
 * @returns {Promise<unknown[]>}
 */
export async function loadModules(paths) {
  const folder = 'build';
  const names = paths.map((path) => path.replace(/^src\/|\.ts$/g, '').replaceAll('/', '-'));
  empty(folder);
  await bundle(Object.fromEntries(paths.map((path, i) => [names[i], path])), folder);
  return Promise.all(names.map((name) => import(pathToFileURL(join(ROOT, folder, `${name}.js`)).href)));
}

/** @param {string} folder */
function empty(folder) {
  rmSync(join(ROOT, folder), { recursive: true, force: true });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  empty('dist');
  await bundle(ENTRIES, 'dist');
  for (const [name, module] of Object.entries(PROGRAMS)) await bundle({ [name]: module }, 'dist');
}
