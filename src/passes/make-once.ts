import type { Tensor } from '../ir/tensor.ts';

/** Makes a tensor of some others, or gives the one that it made of the same ones before. */
export type MakeOnce = (sources: readonly (Tensor | undefined)[], how: string | number, make: () => Tensor) => Tensor;

/**
 * Opens the memory of one run of a pass that computes weights: what ALBERT's layers share before it they share behind
 * it, so that a file holds it once. `how` tells apart what is made of the same sources in several ways.
 */
export function makingOnce(): MakeOnce {
  const numbers = new Map<Tensor | undefined, number>();
  const made = new Map<string, Tensor>();
  const numberOf = (tensor: Tensor | undefined) => {
    const number = numbers.get(tensor) ?? numbers.size;
    numbers.set(tensor, number);
    return number;
  };
  return (sources, how, make) => {
    const key = `${sources.map(numberOf).join(',')} ${how}`;
    const tensor = made.get(key) ?? make();
    made.set(key, tensor);
    return tensor;
  };
}
