import type { Node } from '../ir/graph.ts';
import { computedTensor } from '../ir/tensor.ts';
import type { BertSettings } from './bert.ts';
import { add, type Builder, widthOf } from './builder.ts';
import type { ConfigReader } from './config.ts';

/**
 * Turns of every place of the run, [sequence, size]: RoPE (Su et al. 2021, https://arxiv.org/abs/2104.09864) is x∘cos +
 * swap(x)∘sin, where swap changes the halves of a head and sin is negative in the first one.
 */
export interface Rotation {
  readonly cos: Node;
  readonly sin: Node;
}

/** Settings of a BERT whose places are turns. */
export interface TurnedSettings extends BertSettings {
  /** Number of channels of a head. */
  readonly size: number;
  /** Base of the rotation. */
  readonly base: number;
}

/** Angle of a place in a pair of channels, as its cosine and sine. */
type Turn = (place: number, pair: number) => readonly [cos: number, sin: number];

/** Adds tables for heads of `size` channels: of the run's length where it is known, else of all `places`, cut to it. */
export function rotation(builder: Builder, name: string, places: number, size: number, turn: Turn): Rotation {
  const { graph, sequence } = builder;
  const rows = typeof sequence === 'number' ? sequence : places;
  const table = (part: string, value: (place: number, pair: number, isFirst: boolean) => number): Node => {
    const half = size / 2;
    const tensor = computedTensor('f32', [rows, size], () =>
      Float32Array.from({ length: rows * size }, (_, at) => {
        const channel = at % size;
        return value(Math.floor(at / size), channel % half, channel < half);
      }),
    );
    if (typeof sequence === 'number') return graph.constant(tensor, `${name}.${part}`);
    const whole = graph.constant(tensor, `${name}.${part}.table`);
    return add(builder, `${name}.${part}`, 'slice', [whole], { axis: 0, start: 0, end: sequence });
  };
  return {
    cos: table('cos', (place, pair) => turn(place, pair)[0]),
    sin: table('sin', (place, pair, isFirst) => (isFirst ? -turn(place, pair)[1] : turn(place, pair)[1])),
  };
}

/**
 * Turns by place · base^(-2 pair / size), rounded to f32 where transformers rounds: far places turn by many radians.
 */
export function turnByBase(base: number, size: number): Turn {
  const { fround } = Math;
  return (place, pair) => {
    const frequency = fround(1 / fround(base ** fround((2 * pair) / size)));
    const angle = fround(place * frequency);
    return [Math.cos(angle), Math.sin(angle)];
  };
}

/** Turns x [rows, heads, sequence, size]. */
export function rotate(builder: Builder, name: string, x: Node, { cos, sin }: Rotation): Node {
  const size = widthOf(x);
  const half = (part: string, start: number) =>
    add(builder, `${name}.${part}`, 'slice', [x], { axis: 3, start, end: start + size / 2 });
  const swapped = add(builder, `${name}.swapped`, 'concat', [half('second', size / 2), half('first', 0)], { axis: 3 });
  const along = add(builder, `${name}.along`, 'mul', [x, cos]);
  return add(builder, `${name}.rotated`, 'add', [along, add(builder, `${name}.across`, 'mul', [swapped, sin])]);
}

/** Refuses heads whose channels, `size` of them, do not pair up; `key` of the config decides on the size. */
export function refuseOddHeads(config: ConfigReader, key: string, size: number): void {
  if (size % 2 === 1) config.refuse(key, `heads of ${size} channels cannot be turned in pairs`);
}

/** Reads the number of channels of a head, which the config can set apart from the hidden size. */
export function readHeadSize(config: ConfigReader, hidden: number, heads: number): number {
  const { value } = config.size('head_dim', Math.max(1, Math.floor(hidden / heads)));
  refuseOddHeads(config, 'head_dim', value);
  return value;
}

/**
 * Reads the base of the rotation from `rope_parameters` or from what earlier versions call it. Other kinds of rotation
 * are refused.
 */
export function readRope(config: ConfigReader, fallback: number): number {
  config.demand('rope_scaling', null, 'places are turned without scaling');
  const legacy = config.positive('rope_theta', fallback);
  const parameters = config.object('rope_parameters');
  return parameters === undefined ? legacy : readRopeParameters(parameters, legacy);
}

export function readRopeParameters(parameters: ConfigReader, fallback: number): number {
  parameters.demand('rope_type', 'default', 'places are turned without scaling');
  parameters.demand('type', 'default', 'places are turned without scaling');
  parameters.demand('partial_rotary_factor', 1, 'all channels are turned');
  return parameters.positive('rope_theta', fallback);
}
