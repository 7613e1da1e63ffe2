import { MbertError } from '../../errors.ts';
import type { Graph, Node } from '../../ir/graph.ts';
import { nodesByName } from '../../ir/nodes-by-name.ts';
import type { TaughtLayer } from './trained.ts';

/** Ways in which layers and answers are taught (MobileBERT, Sun et al. 2020, section 3.3). */
export const STRATEGIES = ['auxiliary', 'joint', 'progressive'] as const;
export type Strategy = (typeof STRATEGIES)[number];

/** A part of the training in which the same things are compared and trained. */
export interface Stage {
  readonly name: string;
  readonly layers: readonly TaughtLayer[];
  readonly comparesAnswers: boolean;
  /** Number of steps; undefined for as many as held-out text gains by. */
  readonly steps: number | undefined;
  /** Parameters and tables that are trained, by name. */
  readonly trains: (name: string) => boolean;
}

/** Share of a given number of steps that layers get where answers come after them. */
const LAYER_SHARE = 0.5;

/** Steps that layers get where nobody says how many: all together, and at least for each of them alone. */
const LAYER_STEPS = 400;
const LEAST_PER_LAYER = 25;

/**
 * Splits training into stages. `auxiliary` compares layers and answers all the time; `joint` first all layers together,
 * then the answers; `progressive` one layer after the other, each with those below it frozen, then the answers, for which
 * everything is trained. Throws USAGE for fewer steps than stages, and where there are no layers to compare.
 */
export function stagesOf(
  strategy: Strategy,
  layers: readonly TaughtLayer[],
  { steps, student }: { readonly steps: number | undefined; readonly student: Graph },
): Stage[] {
  const all = () => true;
  if (strategy === 'auxiliary')
    return [{ name: 'layers and answers', layers, comparesAnswers: true, steps, trains: all }];
  if (layers.length === 0) {
    throw new MbertError('USAGE', `--strategy ${strategy}: the two models have no layers that could be compared`, {
      hint: '--strategy auxiliary compares the answers alone then',
    });
  }
  const forLayers = steps === undefined ? LAYER_STEPS : Math.floor(steps * LAYER_SHARE);
  if (strategy === 'joint') {
    refuseFew(strategy, steps, 2);
    return [
      { name: 'layers', layers, comparesAnswers: false, steps: forLayers, trains: all },
      answersAlone(steps === undefined ? undefined : steps - forLayers),
    ];
  }
  refuseFew(strategy, steps, 2 * layers.length);
  const each =
    steps === undefined
      ? Math.max(LEAST_PER_LAYER, Math.floor(forLayers / layers.length))
      : Math.floor(forLayers / layers.length);
  const between = namesBetween(student, layers);
  const stages = layers.map((layer, i): Stage => {
    const own = between[i] as ReadonlySet<string>;
    return {
      name: `layer ${i}`,
      layers: [{ ...layer, weight: 1 }],
      comparesAnswers: false,
      steps: each,
      trains: (name) => own.has(name) || name.startsWith(`projection.${layer.student.output}.`),
    };
  });
  return [...stages, answersAlone(steps === undefined ? undefined : steps - each * layers.length)];
}

function answersAlone(steps: number | undefined): Stage {
  return { name: 'answers', layers: [], comparesAnswers: true, steps, trains: () => true };
}

function refuseFew(strategy: Strategy, steps: number | undefined, least: number): void {
  if (steps === undefined || steps >= least) return;
  throw new MbertError('USAGE', `--steps ${steps}: --strategy ${strategy} needs ${least} at least`, {
    hint: 'each stage needs steps of its own; some hundred in all are of use',
  });
}

/** Names of what each layer computes from that the layers before it do not. */
function namesBetween(student: Graph, layers: readonly TaughtLayer[]): ReadonlySet<string>[] {
  const byName = nodesByName(student);
  const met = new Set<Node>();
  return layers.map(({ student: { attention, output } }) => {
    const own = new Set<string>();
    const stack = [attention, output].flatMap((name) => (name === undefined ? [] : (byName.get(name) ?? [])));
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      if (met.has(node)) continue;
      met.add(node);
      own.add(node.name);
      stack.push(...node.inputs);
    }
    return own;
  });
}
