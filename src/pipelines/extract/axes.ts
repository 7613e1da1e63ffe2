/**
 * What an axis of a weight counts: hidden channels, channels of a layer's heads, neurons of a layer, or something that a
 * student has as many of as its teacher.
 */
export type Axis = 'hidden' | 'heads' | 'neurons' | 'whole';

/** A weight of BERT by the end of its name, `.weight` or `.bias` left out, with its axes: [rows, columns]. */
interface AxesRow {
  readonly name: RegExp;
  readonly axes: readonly Axis[];
}

const ROWS: readonly AxesRow[] = [
  { name: /embeddings\.(word|position|token_type)_embeddings$/, axes: ['whole', 'hidden'] },
  { name: /LayerNorm$/, axes: ['hidden'] },
  { name: /attention\.self\.(query|key|value)$/, axes: ['heads', 'hidden'] },
  { name: /attention\.output\.dense$/, axes: ['hidden', 'heads'] },
  { name: /intermediate\.dense$/, axes: ['neurons', 'hidden'] },
  { name: /layer\.\d+\.output\.dense$/, axes: ['hidden', 'neurons'] },
  { name: /pooler\.dense$/, axes: ['hidden', 'hidden'] },
  { name: /cls\.predictions\.transform\.dense$/, axes: ['hidden', 'hidden'] },
  { name: /(classifier|qa_outputs|cls\.seq_relationship|cls\.predictions\.decoder)$/, axes: ['whole', 'hidden'] },
  { name: /cls\.predictions$/, axes: ['whole'] },
];

/** The axes of a weight by its name; undefined for one that BERT does not have. */
export function axesOf(name: string): readonly Axis[] | undefined {
  const [, stem, kind] = /^(.*)\.(weight|bias)$/.exec(name) ?? [];
  const row = stem === undefined ? undefined : ROWS.find((each) => each.name.test(stem));
  if (row === undefined) return undefined;
  return kind === 'bias' ? row.axes.slice(0, 1) : row.axes;
}

/** The number of the layer in a weight's or a node's name; undefined outside of the layers. */
export function layerIn(name: string): number | undefined {
  const [, number] = /(?:^|\.)encoder\.layer\.(\d+)\./.exec(name) ?? [];
  return number === undefined ? undefined : Number(number);
}

/** A name with another number of its layer. */
export function withLayer(name: string, layer: number): string {
  return name.replace(/((?:^|\.)encoder\.layer\.)\d+(?=\.)/, `$1${layer}`);
}
