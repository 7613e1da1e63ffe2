import { MbertError } from '../../errors.ts';
import type { Graph } from '../../ir/graph.ts';
import { tokenInput } from '../../ir/names.ts';
import { type Shape, shapeText, sizeOf } from '../../ir/shape.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { RuntimeSession } from '../../runtimes/runtime.ts';
import { feedsOf, type TokenRow } from '../../samples/feeds.ts';

/** A loaded model, with the path that errors call it by. */
export interface Running {
  readonly path: string;
  readonly session: RuntimeSession;
}

/** Shape of a model's token inputs, with the path that errors call it by. */
export interface InputShape {
  readonly path: string;
  readonly shape: Shape;
}

/** Shape of a graph's token inputs. */
export function inputShape(path: string, graph: Graph): InputShape {
  return { path, shape: graph.inputs[0]?.type.shape ?? [] };
}

/** The sizes that all models take: [batch, ..., sequence], with undefined for what they leave open. */
export type CommonShape = readonly (number | undefined)[];

/** Choices of a question where models leave the number open: a choice between fewer is none. */
const DYNAMIC_CHOICES = 2;

/**
 * The input shape that all models take, where `length` is the one that the user asks for. Each model keeps its own
 * batch size, as only the first sequence of a batch is looked at. Throws MISMATCH where no input fits both models,
 * USAGE where they are fixed to another length.
 */
export function commonShape(models: readonly InputShape[], length: number | undefined): CommonShape {
  const shapes = models.map(({ shape }) => shape);
  const [first = [], second = first] = shapes;
  const fail = () => {
    const both = models.map(({ path, shape }) => `${path} takes ${shapeText(shape)}`).join(', ');
    throw new MbertError('MISMATCH', `${both}: no input fits ${models.length > 1 ? 'both' : 'it'}`, {
      hint: "models that pad to different lengths give different answers: convert one of them to the other one's length",
    });
  };
  if (first.length < 2 || first.length !== second.length) fail();
  const common = first.map((dim, axis) => {
    const sizes = [dim, second[axis]].filter((size): size is number => typeof size === 'number' && size > 0);
    if (axis > 0 && new Set(sizes).size > 1) fail();
    return sizes[0];
  });
  const fixed = common.at(-1);
  if (length !== undefined && fixed !== undefined && length !== fixed) {
    throw new MbertError('USAGE', `--sequence-length ${length}: the model is fixed to ${fixed}`);
  }
  return [...common.slice(0, -1), fixed ?? length];
}

/** The length that sequences are padded to; undefined where they are not padded. */
export function paddedLength(shape: CommonShape): number | undefined {
  return shape.at(-1);
}

/** Sizes of the axes before the sequence in a run of this model: its own batch, and choices where it takes such. */
export function leadingSizes(input: Shape, shape: CommonShape): number[] {
  const [own] = input;
  const batch = typeof own === 'number' && own > 0 ? own : 1;
  return shape.length > 2 ? [batch, shape[1] ?? DYNAMIC_CHOICES] : [batch];
}

/**
 * Runs a model on the row at `place`; where a model takes choices, on as many rows from this one on. The other
 * sequences of a batch repeat these. Throws UNSUPPORTED for inputs that are not token ids, mask and token types.
 */
export async function runRow(
  running: Running,
  rows: readonly TokenRow[],
  place: number,
  shape: CommonShape,
  pad: number,
): Promise<ReadonlyMap<string, Tensor>> {
  const { session, path } = running;
  const leading = leadingSizes(session.inputs[0]?.shape ?? [], shape);
  const [, choices = 1] = leading;
  const slots = Array.from(
    { length: sizeOf(leading) },
    (_, slot) => rows[(place + (slot % choices)) % rows.length] as TokenRow,
  );
  const length = paddedLength(shape) ?? Math.max(...slots.map(({ inputIds }) => inputIds.length));
  const feeds = feedsOf(slots, { dtype: 'i64', shape: [...leading, length], pad });
  const inputs = new Map<string, Tensor>();
  for (const { name } of session.inputs) {
    const role = tokenInput(name);
    inputs.set(name, feeds.get(role) as Tensor);
  }
  if (new Set(inputs.values()).size < inputs.size) {
    const names = session.inputs.map(({ name }) => name).join(', ');
    throw new MbertError('UNSUPPORTED', `${path}: inputs ${names}: are not token ids, mask and token types`);
  }
  return session.run(inputs);
}
