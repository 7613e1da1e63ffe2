// The imports of src/ as dependency-cruiser reads them, beside those that scripts/layers.js sees: npm install && npm test.
import { fileURLToPath } from 'node:url';
import { cruise } from 'dependency-cruiser';
import { layerErrors } from '../../scripts/layers.js';

process.chdir(fileURLToPath(new URL('../..', import.meta.url)));
const { output } = await cruise(['src'], { parser: 'swc', tsPreCompilationDeps: true, includeOnly: '^src/' });
const inSrc = (path) => path.slice('src/'.length);

const edges = output.modules.flatMap(({ source, dependencies }) =>
  dependencies.map(({ resolved, circular }) => ({ text: `${inSrc(source)} -> ${inSrc(resolved)}`, circular })),
);
const theirs = new Set(edges.map(({ text }) => text));

// Where each file is a place and none is above another, every import breaks the rule.
const files = output.modules.map(({ source }) => inSrc(source));
const ours = new Set(
  layerErrors('src', [files]).map((error) => error.replace(/:\d+: \S+ may not import (\S+), which.*$/, ' -> $1')),
);

const problems = [
  ...[...theirs].filter((edge) => !ours.has(edge)).map((edge) => `scripts/layers.js does not see ${edge}`),
  ...[...ours].filter((edge) => !theirs.has(edge)).map((edge) => `dependency-cruiser does not see ${edge}`),
  ...edges.filter(({ circular }) => circular).map(({ text }) => `part of a circle: ${text}`),
];
console.log(
  JSON.stringify({ files: files.length, imports: theirs.size, problems, ok: problems.length === 0 }, null, 2),
);
process.exitCode = problems.length === 0 ? 0 : 1;
