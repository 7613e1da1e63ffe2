import { describe, expect, test } from 'vitest';
import type { AttributesDifference, Difference, Kind } from '../../src/diff/difference.ts';
import { KINDS } from '../../src/diff/difference.ts';
import type { ModelDiff, SideSummary } from '../../src/pipelines/diff/diff-models.ts';
import { diffGithub } from '../../src/reports/diff-github.ts';
import { diffJson } from '../../src/reports/diff-json.ts';
import { diffMarkdown } from '../../src/reports/diff-markdown.ts';
import { sectionsOf, verdictText } from '../../src/reports/diff-text.ts';

const side: SideSummary = { path: 'a.onnx', format: 'onnx', nodes: 1, ops: { relu: 1 }, weightBytes: 8, fileBytes: 99 };

/** A comparison that found these. */
function diffOf(differences: readonly Difference[], changes: Partial<ModelDiff> = {}): ModelDiff {
  const counts = Object.fromEntries(
    KINDS.map((kind) => [kind, differences.filter((difference) => difference.kind === kind).length]),
  ) as { readonly [K in Kind]: number };
  return {
    a: side,
    b: { ...side, path: 'b.onnx' },
    level: 'raw',
    same: differences.length === 0,
    counts,
    differences,
    ignored: 0,
    paired: 1,
    renamed: 0,
    constants: { compared: 3, equal: 2 },
    numeric: null,
    warnings: [],
    ...changes,
  };
}

/** An attribute that changed: of one value everywhere, or of another in each. */
const attribute = (name: string, to = 2): AttributesDifference => ({
  kind: 'structure',
  change: 'attributes',
  node: { a: name, b: name },
  op: 'softmax',
  attributes: [{ name: 'axis', from: 1, to }],
});
const unlike = (count: number) => Array.from({ length: count }, (_, i) => attribute(`n${i}`, 10 + i));

describe('JSON', () => {
  test.each([
    [200, false, 200, 0],
    [201, false, 200, 1],
    [250, false, 200, 50],
    [250, true, 250, 0],
  ])('of %d differences, all of them %s, lists %d and says that %d are left out', (count, all, listed, omitted) => {
    const read = JSON.parse(diffJson(diffOf(unlike(count)), all));
    expect(read.differences.length).toBe(listed);
    expect(read.omitted).toBe(omitted);
    expect(read.counts.structure).toBe(count);
  });
});

describe('text', () => {
  const linesOf = (differences: readonly Difference[], all = false) =>
    sectionsOf(diffOf(differences), all).flatMap(({ lines }) => lines);

  test('tells twenty changes and counts the rest', () => {
    expect(linesOf(unlike(20)).length).toBe(20);
    expect(linesOf(unlike(23)).slice(19)).toEqual(['n19 (softmax): axis 1 -> 29', 'and 3 more: --all shows them']);
    expect(linesOf(unlike(23), true).length).toBe(23);
  });

  test('twenty are those of all kinds together, and the rest is counted place by place', () => {
    const same = Array.from({ length: 5 }, (_, i) => attribute(`m${i}`));
    const metadata = (key: string): Difference => ({ kind: 'metadata', change: 'metadata', key, from: 'x', to: 'y' });
    const sections = sectionsOf(diffOf([...unlike(19), ...same, metadata('k'), metadata('l')]), false);
    expect(sections.map(({ kind, lines }) => [kind, lines.at(-1)])).toEqual([
      ['structure', 'm0 (softmax): axis 1 -> 2; the same in 4 more: m1, m2 and 2 more'],
      ['metadata', 'and 2 more: --all shows them'],
    ]);
  });

  test('names up to three other places, of more the first two', () => {
    const places = (count: number) => linesOf(Array.from({ length: count }, (_, i) => attribute(`m${i}`)))[0];
    expect(places(1)).toBe('m0 (softmax): axis 1 -> 2');
    expect(places(4)).toBe('m0 (softmax): axis 1 -> 2; the same in 3 more: m1, m2 and m3');
    expect(places(5)).toBe('m0 (softmax): axis 1 -> 2; the same in 4 more: m1, m2 and 2 more');
  });

  test.each([
    [[], {}, 'same'],
    [unlike(2), {}, 'different: structure 2'],
    [unlike(2), { same: true }, 'different, but none of it counts: structure 2'],
    [[], { ignored: 1 }, 'same (1 difference ignored)'],
    [unlike(1), { ignored: 3 }, 'different: structure 1 (3 differences ignored)'],
  ] as const)('the verdict on %j, %j', (differences, changes, verdict) => {
    expect(verdictText(diffOf(differences, changes))).toBe(verdict);
  });
});

describe('annotations for GitHub', () => {
  const github = (differences: readonly Difference[], failing: readonly Kind[] = KINDS) =>
    diffGithub(diffOf(differences), new Set(failing)).split('\n');

  test('are nine of a level, and the verdict is the tenth', () => {
    const lines = github(unlike(30));
    expect(lines.length).toBe(10);
    expect(lines.every((line) => line.startsWith('::error file=b.onnx,title='))).toBe(true);
    expect(lines.at(-1)).toBe('::error file=b.onnx,title=mbert diff::different: structure 30');
  });

  test('are notices for kinds that do not count', () => {
    const [line] = github(unlike(1), ['weights']);
    expect(line).toBe('::notice file=b.onnx,title=structure::n0 (softmax): axis 1 -> 10');
  });

  test('cannot be ended by a name', () => {
    const [line] = github([attribute('100%\n::error::x')]);
    expect(line).toBe('::error file=b.onnx,title=structure::100%25%0A::error::x (softmax): axis 1 -> 2');
    const odd = diffGithub(diffOf([], { b: { ...side, path: 'a:b,c' } }), new Set());
    expect(odd).toBe('::notice file=a%3Ab%2Cc,title=mbert diff::same');
  });
});

test('names cannot write Markdown of their own', () => {
  const text = diffMarkdown(diffOf([attribute('[x](y) *b* _c_ `d` <e> |f|\n# g')]), false);
  expect(text).toContain('- \\[x\\](y) \\*b\\* \\_c\\_ \\`d\\` \\<e\\> \\|f\\| \\# g (softmax)');
  const cell = diffMarkdown(diffOf([], { a: { ...side, path: 'x`|\ny' } }), false);
  expect(cell).toContain('| a | `x   y` |');
});
