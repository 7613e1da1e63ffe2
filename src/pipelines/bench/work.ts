import { readF32, type Tensor } from '../../ir/tensor.ts';
import type { Feeds, TimedModel } from './feeds.ts';

/**
 * Warns where runs do not do equal work: models that are fed other shapes than the first, whose ratio says nothing of the
 * models, and a model whose runs are of different lengths, whose median is that of a mixture.
 */
export function unequalWork(loaded: readonly TimedModel[], feeds: readonly (readonly Feeds[])[]): string[] {
  const shapes = feeds.map((rounds) => rounds.map((feed) => [...feed.values()][0]?.shape ?? []));
  const [first = []] = shapes;
  const odd = shapes.findIndex((own) => own.some((shape, round) => shape.join() !== first[round]?.join()));
  const lengths = shapes.flatMap((own, i) => varying(own).map((range) => `${nameOf(loaded, i)}: ${range}`));
  const told = (i: number) => `${nameOf(loaded, i)} runs ${shapesText(shapes[i] as Shapes)}`;
  return [...(odd < 0 ? [] : [`${told(0)} and ${told(odd)}: their ratio is not one of equal work`]), ...lengths];
}

type Shapes = readonly (readonly number[])[];

function nameOf(loaded: readonly TimedModel[], i: number): string {
  return loaded[i]?.model.name ?? '';
}

function lengthsOf(shapes: Shapes): readonly [least: number, most: number] {
  const lengths = shapes.map((shape) => shape.at(-1) ?? 0);
  return [Math.min(...lengths), Math.max(...lengths)];
}

function varying(shapes: Shapes): string[] {
  const [least, most] = lengthsOf(shapes);
  if (least === most) return [];
  return [
    `runs have ${least} to ${most} tokens, which spreads their times; --sequence-length ${most} makes them equal`,
  ];
}

function shapesText(shapes: Shapes): string {
  const [least, most] = lengthsOf(shapes);
  const length = least === most ? `${most}` : `${least} to ${most}`;
  return `[${[...(shapes[0] ?? []).slice(0, -1), length].join(', ')}]`;
}

/** Names of the outputs that have a value which is no finite number. */
export function withoutNumbers(outputs: ReadonlyMap<string, Tensor>): string[] {
  return [...outputs].filter(([, tensor]) => !allFinite(readF32(tensor))).map(([name]) => name);
}

function allFinite(values: Float32Array): boolean {
  let sum = 0;
  // Zero times a finite number is a zero, of either sign; times any other it is no number.
  for (let i = 0; i < values.length; i++) sum += 0 * (values[i] as number);
  return sum === 0;
}

/** Warns of a model whose answers are no numbers: how fast it is not to compute says nothing. */
export function notFinite(model: string, outputs: ReadonlySet<string>): string[] {
  if (outputs.size === 0) return [];
  const names = [...outputs].join(', ');
  return [
    `${model}: ${names}: has NaN or infinite values, so that its times are of no use; mbert verify says where they begin`,
  ];
}
