import { type TfliteOptions, tflite } from '../../src/exporters/tflite.ts';
import { decodeFlatbuffer } from '../../src/formats/tflite/decode.ts';
import { encodeFlatbuffer } from '../../src/formats/tflite/encode.ts';
import { type Model, modelRoot, type Tensor as TfliteTensor } from '../../src/formats/tflite/generated/model.ts';
import type { Graph } from '../../src/ir/graph.ts';
import { graphOf } from '../core.ts';

export async function bytesOf(graph: Graph, options: Partial<TfliteOptions> = {}): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const file of tflite.write(graph, { ...tflite.defaults, ...options })) {
    for await (const chunk of file.chunks) chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

export async function modelOf(text: string, options: Partial<TfliteOptions> = {}): Promise<Model> {
  return decodeFlatbuffer(modelRoot, await bytesOf(graphOf(text), options), 'model.tflite');
}

/** One operator a line: `out = CODE version(inputs)`. */
export function listing({ subgraphs, operatorCodes }: Model): string {
  const { operators = [], tensors = [] } = subgraphs?.[0] ?? {};
  const names = (indices: readonly number[] = []) => indices.map((index) => tensors[index]?.name).join(', ');
  return operators
    .map(({ opcodeIndex, inputs, outputs }) => {
      const code = operatorCodes?.[opcodeIndex];
      return `${names(outputs)} = ${code?.builtinCode} ${code?.version}(${names(inputs)})`;
    })
    .join('\n');
}

/** LiteRT in Node runs fixed shapes only, so the sizes left to the run are written into the inputs. */
export function fixLength(bytes: Uint8Array, length: number): Uint8Array {
  const model = decodeFlatbuffer(modelRoot, bytes, 'm');
  const fix = (tensor: TfliteTensor): TfliteTensor => ({
    ...tensor,
    shape: tensor.shapeSignature?.map((dim) => (dim === -1 ? length : dim)) ?? tensor.shape,
    shapeSignature: undefined,
  });
  const subgraphs = model.subgraphs?.map((graph) => ({ ...graph, tensors: graph.tensors?.map(fix) }));
  return encodeFlatbuffer(modelRoot, { ...model, subgraphs }).bytes;
}
