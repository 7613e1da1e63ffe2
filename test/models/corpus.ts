import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { Checkpoint } from '../../src/formats/checkpoint.ts';
import type { JsonValue } from '../../src/formats/json.ts';
import { readNpy } from '../../src/formats/npy.ts';
import { openSource } from '../../src/importers/index.ts';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Graph } from '../../src/ir/graph.ts';
import { sizeOf } from '../../src/ir/shape.ts';
import { convertTensor, integerTensor, readF32, readIntegers, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { unpacked } from '../unpacked.ts';

/** What a fixture's manifest says that tests need. */
export interface Manifest {
  readonly head: string;
  readonly tolerance: { readonly [output: string]: { readonly atol: number } };
  readonly inputs: { readonly [input: string]: { readonly file: string } };
  readonly expected: { readonly [output: string]: { readonly file: string; readonly batch_rows?: readonly number[] } };
}

export function fixture(name: string): string {
  return `fixtures/${name}`;
}

export function readManifest(name: string): Manifest {
  return JSON.parse(readFileSync(`${fixture(name)}/manifest.json`, 'utf8')) as Manifest;
}

function fixturesWith(isModel: (files: readonly string[]) => boolean): readonly string[] {
  return readdirSync('fixtures').filter(
    (name) => existsSync(`${fixture(name)}/inputs`) && isModel(readdirSync(fixture(name))),
  );
}

function holdsCheckpoint(files: readonly string[]): boolean {
  return files.includes('config.json') && files.some((file) => file.includes('.safetensors'));
}

/** The folders of fixtures/ that hold safetensors with inputs and an oracle. */
export const CHECKPOINTS = fixturesWith((files) => holdsCheckpoint(files) && !files.includes('modules.json'));

/** Those in which sentence-transformers says what runs behind the encoder, with an oracle of what that gives. */
export const EMBEDDERS = fixturesWith((files) => holdsCheckpoint(files) && files.includes('modules.json'));

export function readArray(name: string, file: string): Tensor {
  const path = `${fixture(name)}/${file}`;
  return readNpy(readFileSync(path), path);
}

export async function openCheckpoint(name: string): Promise<Checkpoint> {
  const source = await openSource(unpacked(fixture(name)));
  if (source.yields !== 'checkpoint') throw new Error(`${name} holds no weights`);
  return source.checkpoint;
}

/** What google-research's code calls our inputs. */
const ALIASES: { readonly [input: string]: string } = { attention_mask: 'input_mask', token_type_ids: 'segment_ids' };

/**
 * A fixture can hold several oracles: their names in the manifest, by the output's name; and all tokens valid or not.
 */
export interface OracleChoice {
  readonly oracleOf?: (output: string) => string;
  readonly masksNothing?: boolean;
}

/** The largest difference from the oracle for each output, as a multiple of what the manifest tolerates. */
export function differences(name: string, graph: Graph, choice: OracleChoice = {}): ReadonlyMap<string, number> {
  const { inputs, expected, tolerance } = readManifest(name);
  const feeds = new Map<string, Tensor>();
  for (const input of graph.inputs) {
    const array = readArray(name, (inputs[input.name] ?? inputs[ALIASES[input.name] ?? ''])?.file ?? '');
    const isFull = choice.masksNothing && input.name === 'attention_mask';
    const fed = isFull ? integerTensor('i64', new Array(sizeOf(array.shape)).fill(1), array.shape) : array;
    feeds.set(input.name, convertTensor(fed, input.type.dtype));
  }
  const results = evaluate(graph, feeds);
  const ratios = new Map<string, number>();
  for (const { name: output } of graph.outputs) {
    const oracleName = choice.oracleOf?.(output) ?? output;
    const oracle = expected[oracleName];
    const limit = tolerance[oracleName];
    if (oracle === undefined || limit === undefined) throw new Error(`${name}: no oracle ${oracleName}`);
    const result = readF32(results.get(output) as Tensor);
    const wanted = readF32(readArray(name, oracle.file));
    // Large outputs are stored for the first batch rows only.
    if (result.length < wanted.length)
      throw new Error(`${name}: ${output} has ${result.length} values of ${wanted.length}`);
    if (oracle.batch_rows === undefined && result.length !== wanted.length)
      throw new Error(`${name}: ${output} is too large`);
    let worst = 0;
    const isCompared = comparedElements(name, readArray(name, oracle.file).shape);
    for (let i = 0; i < wanted.length; i++) {
      if (!isCompared(i)) continue;
      const difference = Math.abs((result[i] as number) - (wanted[i] as number));
      if (!(difference <= worst)) worst = difference;
    }
    ratios.set(output, worst / limit.atol);
  }
  return ratios;
}

/**
 * Which elements of an output [batch, sequence, ...] count. What a model computes for padding is never read, and in
 * families where it is not what transformers computes, those of padding are left out.
 */
export function comparedElements(name: string, shape: readonly number[]): (element: number) => boolean {
  if (!name.startsWith('family-')) return () => true;
  const mask = readArray(name, readManifest(name).inputs['attention_mask']?.file ?? '');
  const length = mask.shape.at(-1) as number;
  if (shape[1] !== length) return () => true;
  const valid = readIntegers(mask);
  const width = sizeOf(shape.slice(2));
  return (element) => valid[Math.floor(element / width)] === 1;
}

/** A checkpoint with some weights (undefined takes one away) and some of its config changed. */
export function changed(
  checkpoint: Checkpoint,
  weights: Readonly<Record<string, Tensor | undefined>>,
  config: Readonly<Record<string, JsonValue | undefined>> = {},
): Checkpoint {
  return {
    ...checkpoint,
    tensors: overlay(checkpoint.tensors, weights),
    config: overlay(checkpoint.config, config),
  };
}

function overlay<T>(base: ReadonlyMap<string, T>, changes: Readonly<Record<string, T | undefined>>): Map<string, T> {
  const result = new Map(base);
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) result.delete(key);
    else result.set(key, value);
  }
  return result;
}

export function zeros(shape: readonly number[]): Tensor {
  return tensorOf('f32', shape, new Float32Array(sizeOf(shape)));
}
