import { type TfliteOptions, tflite } from '../../src/exporters/tflite.ts';
import { decodeFlatbuffer } from '../../src/formats/tflite/decode.ts';
import { type Model, modelRoot } from '../../src/formats/tflite/generated/model.ts';
import type { Graph } from '../../src/graph.ts';
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
