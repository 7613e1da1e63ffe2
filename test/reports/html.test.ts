import { describe, expect, test } from 'vitest';
import { diffGraphs } from '../../src/diff/diff-graphs.ts';
import { Graph } from '../../src/ir/graph.ts';
import { tensorOf } from '../../src/ir/tensor.ts';
import { outlineOf } from '../../src/opened/outline.ts';
import type { ModelDiff } from '../../src/pipelines/diff/diff-models.ts';
import { outlineBoth } from '../../src/pipelines/diff/outline.ts';
import { diffHtml } from '../../src/reports/diff-html.ts';
import { chart } from '../../src/reports/html/charts.ts';
import { groupNodes } from '../../src/reports/html/layers.ts';
import { BOX_HEIGHT, layOut } from '../../src/reports/html/layout.ts';
import { html, jsonMarkup } from '../../src/reports/html/markup.ts';
import { scatter } from '../../src/reports/html/scatter.ts';
import { STYLE } from '../../src/reports/html/style.ts';
import { sortableTable } from '../../src/reports/html/tables.ts';
import { inspectHtml } from '../../src/reports/inspect-html.ts';
import { CHANGES } from '../diff/changes.ts';
import { pictureOf, problemsOf } from './pages.ts';

const HOSTILE = [
  '</script><script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onmouseover='alert(1)",
  '<!--<script>',
  'javascript:alert(1)',
  '\u0000\u202e`',
];

/** The page of two graphs that were compared. */
function pageOf(a: Graph, b: Graph, path = 'model.onnx'): string {
  const found = diffGraphs(a, b);
  const side = { path, format: 'onnx', nodes: 1, ops: { relu: 1 }, weightBytes: 4, fileBytes: 4 };
  const diff: ModelDiff = {
    a: side,
    b: side,
    level: 'raw',
    same: found.differences.length === 0,
    counts: { structure: 0, weights: 0, quant: 0, metadata: 0, size: 0, numeric: 0 },
    differences: found.differences,
    ignored: 0,
    paired: found.paired,
    renamed: found.renamed,
    constants: found.constants,
    numeric: null,
    warnings: [],
    outline: outlineBoth(a, b, found.partners, found.differences),
  };
  return diffHtml(diff, false);
}

describe('names from a hostile model', () => {
  test.each(HOSTILE)('%j stays text', (name) => {
    const graphOf = (value: number) => {
      const graph = new Graph('g');
      const x = graph.input(name, { dtype: 'f32', shape: ['batch', 2] });
      const weight = graph.constant(tensorOf('f32', [2], Float32Array.of(value, 2)), `${name}.weight`);
      graph.output(`${name}.out`, graph.add('mul', [x, weight], {}, `layer.0.${name}`));
      return graph;
    };
    const page = pageOf(graphOf(1), graphOf(3), name);
    expect(problemsOf(page)).toEqual([]);
    expect(page.match(/<script/g)).toHaveLength(5);
    const names = pictureOf(page).groups.flatMap(({ nodes }) => nodes.map((node) => node[2]));
    expect(names).toEqual([name, `layer.0.${name}`]);
  });

  test('a template escapes what is filled in, and nothing twice', () => {
    expect(html`<b title="${'"<&'}">${html`<i>${"'"}</i>`}${null}${[html`1`, html`2`]}</b>`.markup).toBe(
      '<b title="&quot;&lt;&amp;"><i>&#39;</i>12</b>',
    );
    expect(jsonMarkup(['</script>']).markup).toBe('["\\u003c/script>"]');
  });
});

describe('the picture of a diff', () => {
  test.each(CHANGES.map((change) => [change.name, change] as const))('%s is marked', (_, { a, b }) => {
    const page = pageOf(a, b);
    expect(problemsOf(page)).toEqual([]);
    const { groups } = pictureOf(page);
    const shown = groups.flatMap(({ nodes, states }) => nodes.map((node, i) => [node[2], states[i]] as const));
    const { partners, differences } = diffGraphs(a, b);
    const named = (graph: Graph) => outlineOf(graph).nodes.length;
    // Each node of either side once, and what has a partner one time for both.
    expect(shown).toHaveLength(named(a) + named(b) - partners.size);
    expect(shown.filter(([, state]) => state === 'added')).toHaveLength(named(b) - partners.size);
    expect(shown.filter(([, state]) => state === 'removed')).toHaveLength(named(a) - partners.size);
    const isAboutNodes = differences.some(({ change }) => !/^inputs-(reordered|swapped)$/.test(change));
    if (isAboutNodes) expect(shown.some(([, state]) => state !== 'same')).toBe(true);
  });

  test('a layer that went stands between those that it stood between', () => {
    const stack = (layers: readonly number[]) => {
      const graph = new Graph('stack');
      let x: Parameters<Graph['output']>[1] = graph.input('x', { dtype: 'f32', shape: ['batch', 4] });
      for (const layer of layers) {
        const weight = tensorOf(
          'f32',
          [4, 4],
          Float32Array.from({ length: 16 }, (_, i) => layer * 100 + i),
        );
        const name = `encoder.layer.${layers.indexOf(layer)}.dense`;
        x = graph.add('linear', [x, graph.constant(weight, `${name}.weight`)], {}, name);
      }
      graph.output('y', x);
      return graph;
    };
    const { groups, links } = pictureOf(pageOf(stack([1, 2, 3, 4]), stack([1, 2, 4])));
    expect(groups.map(({ title, states }) => `${title}: ${states}`)).toEqual([
      'inputs and embeddings: same',
      'encoder.layer.0: same',
      'encoder.layer.1: same',
      'encoder.layer.2 of a: removed',
      'encoder.layer.2: structure',
    ]);
    expect(links).toEqual(
      expect.arrayContaining([
        [2, 3, 'removed'],
        [3, 4, 'removed'],
        [2, 4, 'added'],
      ]),
    );
  });
});

describe('layers', () => {
  const chain = (names: readonly string[]) => names.map((name, i) => ({ name, inputs: i === 0 ? [] : [i - 1] }));
  const shown = (names: readonly string[]) =>
    groupNodes(chain(names)).map(({ title, nodes }) => `${title}: ${nodes.map((node) => names[node])}`);

  test('come in order, with what is before and behind them; a counted name stays where it is', () => {
    expect(
      shown(['ids', 'word', 'bert.layer.0.q', 'reshape_2', 'bert.layer.1.q', 'add_3/rounded', 'pooler', 'logits']),
    ).toEqual([
      'inputs and embeddings: ids,word',
      'bert.layer.0: bert.layer.0.q,reshape_2',
      'bert.layer.1: bert.layer.1.q,add_3/rounded',
      'head: pooler,logits',
    ]);
  });

  test('are told by the names of other exporters', () => {
    const titles = [
      '/bert/encoder/layer.10/output/Add',
      'tf_bert/encoder/layer_._3/out',
      'bert/encoder/layer_2/x',
      'transformer.h.7.attn',
    ];
    expect(titles.map((name) => groupNodes(chain([name]))[0]?.title)).toEqual([
      '/bert/encoder/layer.10',
      'tf_bert/encoder/layer_._3',
      'bert/encoder/layer_2',
      'transformer.h.7',
    ]);
  });

  test('that no name tells are parts, cut where one value passes', () => {
    // Blocks of 50: nine nodes read the block's first one, the rest is a chain.
    const nodes = Array.from({ length: 2000 }, (_, i) => ({
      name: `op_${i}`,
      inputs: i === 0 ? [] : i % 50 === 0 ? [i - 1] : [i - 1, i - (i % 50)],
    }));
    const groups = groupNodes(nodes);
    expect(groups.flatMap((group) => group.nodes)).toEqual(nodes.map((_, i) => i));
    expect(groups.every((group) => (group.nodes[0] as number) % 50 < 2)).toBe(true);
    expect(groups.length).toBeGreaterThan(15);
    expect(groups.length).toBeLessThan(45);
  });
});

describe('layout', () => {
  test('boxes do not overlap and lie inside', () => {
    const widths = Array.from({ length: 60 }, (_, i) => 104 + 12 * (i % 5));
    const edges = widths.slice(1).map((_, i) => ({ from: Math.floor(i / 3), to: i + 1, state: 'same' as const }));
    const { boxes, width, height } = layOut({ widths, edges });
    for (const [i, [x, y, w]] of boxes.entries()) {
      expect(x >= 0 && y >= 0 && x + w <= width && y + BOX_HEIGHT <= height).toBe(true);
      for (const [left, top, right] of boxes.slice(i + 1)) {
        expect(x + w <= left || left + right <= x || y + BOX_HEIGHT <= top || top + BOX_HEIGHT <= y).toBe(true);
      }
    }
  });
});

describe('the page is bounded', () => {
  test('of a graph with 10,000 nodes that are all different', () => {
    const graph = new Graph('deep');
    let x: Parameters<Graph['output']>[1] = graph.input('x', { dtype: 'f32', shape: ['batch', 4] });
    for (let i = 0; i < 10_000; i++)
      x = graph.add(i % 3 ? 'relu' : 'tanh', [x], {}, `some.long.name.of.an.operation.${i}.in.a.deep.graph`);
    graph.output('y', x);
    const page = inspectHtml({
      source: 'deep.onnx',
      summary: {
        architecture: 'deep',
        task: undefined,
        parameters: 0,
        bytes: 0,
        dtypes: [],
        ops: {},
        inputs: ['x'],
        outputs: ['y'],
      },
      model: { stored: [], facts: {} },
      warnings: [],
      outline: outlineOf(graph),
    });
    expect(page.length).toBeLessThan(2e6);
    expect(pictureOf(page).groups.some(({ layout }) => layout === null)).toBe(true);
    expect(page).toContain('cannot be opened');
  });

  test('tables stop at a thousand rows and say how many more there are', () => {
    const rows = Array.from({ length: 1500 }, (_, i) => [`row ${i}`]);
    const { markup } = sortableTable({ caption: 'rows', headings: ['name'], rows });
    expect(markup.match(/<tr>/g)).toHaveLength(1001);
    expect(markup).toContain('and 500 more');
  });
});

test('the style has each rule once: one that comes again overrides those between', () => {
  const rules: readonly string[] = STYLE.match(/^[.a-z].*\{.*\}$/gm) ?? [];
  expect(rules.length).toBeGreaterThan(100);
  expect(rules.filter((rule, i) => rules.indexOf(rule) !== i)).toEqual([]);
});

describe('a plot of one number is a sentence', () => {
  test('over places', () => {
    const one = (values: readonly (number | null)[]) =>
      chart({
        title: 'SQNR by layer',
        xTitle: 'layer',
        labels: ['0', '1'],
        yTitle: 'SQNR (dB)',
        kind: 'lines',
        series: [{ name: 'SQNR', values }],
      }).markup;
    expect(one([null, 31.25])).toBe('<p><strong>SQNR by layer</strong>: layer 1, SQNR (dB) 31.25.</p>');
    expect(one([30, 31.25])).toContain('<svg');
  });

  test('between two numbers', () => {
    const plot = (points: readonly (readonly [number, number])[]) =>
      scatter({
        title: 'Kept',
        note: 'note',
        x: { title: 'MB', of: ([x]) => x },
        y: { title: 'dB', of: ([, y]) => y },
        points,
        labelOf: String,
        isChosen: () => true,
        more: [{ title: 'sum', of: ([x, y]) => x + y, text: String }],
      }).markup;
    expect(plot([[1, 30]])).toBe('<p><strong>Kept</strong>: sum 31, MB 1, dB 30.</p>');
    expect(plot([[1, Number.NaN]])).toBe('');
    expect(
      plot([
        [1, 30],
        [2, 40],
      ]),
    ).toContain('<svg');
  });
});
