import type { Call, Graph, Node } from '../../ir/graph.ts';
import { isNarrowWeight } from '../../ir/narrow.ts';
import type { PassContext } from '../../ir/pass.ts';
import { type ConstantLinear, constantLinear, contextOf, hasOneUse } from '../attention.ts';

/** A value that linears read and whose channels may be divided by a scale on the way there. */
export interface SmoothingSite {
  readonly value: Node;
  /** The linears that read the value and gain from integers. Whatever else reads it still gets the value itself. */
  readonly readers: readonly ConstantLinear[];
  /** The linear of attention's values, whose rows take up the scale; without one a product is put before the readers. */
  readonly writer: ConstantLinear | undefined;
  /** The linear before the activation that computes the value, where its neurons may be computed apart. */
  readonly neurons: ConstantLinear | undefined;
}

/** Finds the results of layer norms and GELUs that linears read, and attention's contexts. */
export function smoothingSites(graph: Graph, { keeps }: PassContext): SmoothingSite[] {
  const sites: SmoothingSite[] = [];
  for (const value of graph.nodes()) {
    const site = siteAt(graph, value);
    if (!site || site.readers.length === 0 || keeps(value) || value.type.quant) continue;
    const involved = [...site.readers, ...[site.writer, site.neurons].filter((linear) => linear !== undefined)];
    if (!involved.some(({ node }) => keeps(node))) sites.push(site);
  }
  return sites;
}

/** What a value is as a site; null for one that is none. */
export function siteAt(graph: Graph, value: Node): SmoothingSite | null {
  const readers = [...value.users]
    .map(constantLinear)
    .filter((linear) => linear !== null)
    .filter(({ weight }) => !isNarrowWeight(weight.tensor.shape));
  if (value.op === 'layerNorm') return { value, readers, writer: undefined, neurons: undefined };
  if (value.op === 'gelu') return { value, readers, writer: undefined, neurons: neuronsOf(graph, value, readers) };
  const context = contextOf(graph, value);
  const isReadAlone = readers.length === value.users.size && !graph.isOutput(value);
  if (context === null || typeof context === 'string' || !isReadAlone) return null;
  return { value, readers, writer: context.value.linear, neurons: undefined };
}

/** The linear before a GELU whose neurons one linear reads and nothing else. */
function neuronsOf(graph: Graph, gelu: Call<'gelu'>, readers: readonly ConstantLinear[]): ConstantLinear | undefined {
  const linear = constantLinear(gelu.inputs[0] as Node);
  const [reader] = readers;
  const isAlone = readers.length === 1 && hasOneUse(graph, gelu) && reader?.node.attrs.activation === 'none';
  const isPlain = linear && linear.node.attrs.activation === 'none' && hasOneUse(graph, linear.node);
  return isAlone && isPlain ? linear : undefined;
}
