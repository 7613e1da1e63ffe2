import { readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

/**
 * Types that a caller has no need to name: parts of what is taken and given back whole (a graph's ops, an architecture, a
 * run on texts), and what patterns compute their captures with.
 */
const INNER: readonly string[] = [
  'ir/graph NodeBase',
  'ir/match Bindings',
  'ir/match CapturesOf',
  'ir/match Merge',
  'ir/miss Trace',
  'ir/op OpDef',
  'ir/text-runs TextRuns',
  'models/architecture Architecture',
  'passes/prune/groups PruneGroup',
];

interface Place {
  readonly file: string;
  readonly name: string;
}

interface Declarations {
  /** What it declares, by name: whether that is a type, and the text. */
  readonly own: ReadonlyMap<string, { readonly isType: boolean; readonly text: string }>;
  /** Names that come from other files of the library, or are passed on. */
  readonly others: ReadonlyMap<string, Place>;
}

const DIST = resolve('dist');
const known = new Map<string, Declarations>();

/** Reads a file of declarations as the compiler writes it: each begins at the left margin. */
function declarationsOf(file: string): Declarations {
  const found = known.get(file) ?? parsed(file);
  known.set(file, found);
  return found;
}

function parsed(file: string): Declarations {
  const text = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, '');
  const others = new Map<string, Place>();
  for (const [, list = '', from = ''] of text.matchAll(
    /^(?:import|export)(?: type)? \{([^}]*)\} from '(\.[^']+)';/gm,
  )) {
    for (const item of list.split(',').map((each) => each.trim().replace(/^type /, ''))) {
      const [name = '', as = name] = item.split(' as ');
      others.set(as, { file: declarationFile(file, from), name });
    }
  }
  for (const [, from = ''] of text.matchAll(/^export(?: type)? \* from '(\.[^']+)';/gm)) {
    const passedOn = declarationsOf(declarationFile(file, from));
    for (const [name, place] of passedOn.others) if (!others.has(name)) others.set(name, place);
  }
  const own = new Map<string, { isType: boolean; text: string }>();
  const starts = [
    ...text.matchAll(/^(?:export )?(?:declare )?(?:abstract )?(interface|type|class|function|const) (\w+)/gm),
  ];
  for (const [i, { index, 1: kind = '', 2: name = '' }] of starts.entries()) {
    const before = own.get(name)?.text ?? '';
    const isType = kind !== 'function' && kind !== 'const';
    own.set(name, { isType, text: before + text.slice(index, starts[i + 1]?.index) });
  }
  return { own, others };
}

function declarationFile(from: string, path: string): string {
  return resolve(dirname(from), path.replace(/\.[jt]s$/, '.d.ts'));
}

/** Where a name is declared; undefined for a name of another package, of the language, or of a property. */
function declaredAt(file: string, name: string): Place | undefined {
  const { own, others } = declarationsOf(file);
  if (own.has(name)) return { file, name };
  const other = others.get(name);
  return other && declaredAt(other.file, other.name);
}

function keyOf({ file, name }: Place): string {
  return `${relative(DIST, file)
    .replace(/\.d\.ts$/, '')
    .replaceAll('\\', '/')} ${name}`;
}

/** All types that declarations lead to, `INNER` being where to stop, each with what leads to it. */
function reachedFrom(places: readonly Place[]): ReadonlyMap<string, string> {
  const reached = new Map<string, string>();
  const stack = places.map((place) => ({ place, from: 'index' }));
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { place, from } = next;
    const key = keyOf(place);
    if (reached.has(key)) continue;
    const { isType, text } = declarationsOf(place.file).own.get(place.name) ?? { isType: false, text: '' };
    reached.set(key, isType ? from : '');
    if (INNER.includes(key)) continue;
    for (const name of new Set(text.replace(/'(?:[^'\\\n]|\\.)*'/g, "''").match(/\b[A-Za-z_]\w*/g))) {
      const target = name === place.name ? undefined : declaredAt(place.file, name);
      if (target) stack.push({ place: target, from: key });
    }
  }
  return new Map([...reached].filter(([, from]) => from !== ''));
}

test('every type that an exported function takes or returns, and every type in it, is exported by name', () => {
  const index = resolve(DIST, 'index.d.ts');
  const names = [...declarationsOf(index).others.keys()];
  const exported = names.map((name) => declaredAt(index, name) ?? { file: index, name: `${name} is not found` });
  const keys = new Set(exported.map(keyOf));
  const reached = reachedFrom(exported);
  const missing = [...reached].filter(([key]) => !keys.has(key) && !INNER.includes(key));
  expect(missing.map(([key, from]) => `${key}, of ${from}`)).toEqual([]);
  expect(INNER.filter((key) => !reached.has(key) || keys.has(key))).toEqual([]);
  // Enough is found to say so.
  expect(reached.size).toBeGreaterThan(200);
  expect(keys).toContain('pipelines/fit/types FitReport');
});
