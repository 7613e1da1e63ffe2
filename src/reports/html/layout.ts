import dagre from '@dagrejs/dagre';
import type { EdgeState } from './picture-nodes.ts';

/** Places of the boxes and edges of one group, in pixels from its corner. */
export interface Layout {
  readonly width: number;
  readonly height: number;
  /** Boxes of the nodes in order, then of the ports, each as left, top, width. */
  readonly boxes: readonly (readonly [number, number, number])[];
  /** Edges, each as an SVG path and how it is drawn. */
  readonly edges: readonly (readonly [path: string, state: EdgeState])[];
}

/** Boxes to lay out, by width, and edges between places of boxes. */
interface LayoutRequest {
  readonly widths: readonly number[];
  readonly edges: readonly { readonly from: number; readonly to: number; readonly state: EdgeState }[];
}

export const BOX_HEIGHT = 40;
const MARGIN = 16;

/** Lays boxes out from top to bottom by dagre (github.com/dagrejs/dagre), which places nodes as Gansner et al. 1993. */
export function layOut({ widths, edges }: LayoutRequest): Layout {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: 'TB', nodesep: 16, edgesep: 12, ranksep: 26, marginx: MARGIN, marginy: MARGIN });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const [i, width] of widths.entries()) graph.setNode(String(i), { width, height: BOX_HEIGHT });
  for (const { from, to } of edges) if (from !== to) graph.setEdge(String(from), String(to));
  dagre.layout(graph);
  const boxes = widths.map((width, i) => {
    const { x, y } = graph.node(String(i));
    return [Math.round(x - width / 2), Math.round(y - BOX_HEIGHT / 2), width] as const;
  });
  const { width = 0, height = 0 } = graph.graph();
  return {
    width: Math.ceil(width),
    height: Math.ceil(height),
    boxes,
    edges: edges
      .filter(({ from, to }) => from !== to)
      .map(({ from, to, state }) => [pathOf(graph.edge(String(from), String(to)).points), state] as const),
  };
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** Path of an edge, straight at both ends, rounded at the points between. */
function pathOf(points: readonly Point[]): string {
  const at = ({ x, y }: Point) => `${Math.round(x)} ${Math.round(y)}`;
  const between = (p: Point, q: Point) => ({ x: (p.x + q.x) / 2, y: (p.y + q.y) / 2 });
  const first = points[0] as Point;
  const last = points.at(-1) as Point;
  const bends = points.slice(1, -1).map((point, i) => {
    const end = i === points.length - 3 ? last : between(point, points[i + 2] as Point);
    return `Q${at(point)} ${at(end)}`;
  });
  return bends.length === 0 ? `M${at(first)}L${at(last)}` : `M${at(first)}${bends.join('')}`;
}
