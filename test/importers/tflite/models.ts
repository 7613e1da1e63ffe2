import { readFileSync } from 'node:fs';
import { decodeFlatbuffer } from '../../../src/formats/tflite/decode.ts';
import { encodeFlatbuffer } from '../../../src/formats/tflite/encode.ts';
import {
  type BuiltinOperator,
  type BuiltinOptions,
  builtinOperatorValues,
  type Model,
  modelRoot,
  type Tensor,
} from '../../../src/formats/tflite/generated/model.ts';
import type { Draft } from '../../../src/formats/tflite/table.ts';
import type { GraphSource } from '../../../src/importers/importer.ts';
import { tflite } from '../../../src/importers/tflite.ts';
import { memoryFile } from '../../formats/memory-file.ts';

export const FIXTURE = 'fixtures/mini-tflite-qa/model.tflite';

/** A model's tables, to be changed and written again. */
export function decodeModel(path = FIXTURE): Model {
  return decodeFlatbuffer(modelRoot, new Uint8Array(readFileSync(path)), path);
}

export function encodeModel(model: Draft<Model>): Uint8Array {
  return encodeFlatbuffer(modelRoot, model).bytes;
}

export async function importBytes(bytes: Uint8Array): Promise<GraphSource> {
  const source = await tflite.read(memoryFile('model.tflite', bytes));
  if (source.yields !== 'graph') throw new Error('model.tflite holds weights');
  return source;
}

/** A tensor by name: its type and shape, with data where it is a constant. */
export interface TensorRow {
  readonly type?: Tensor['type'];
  readonly shape: readonly number[];
  readonly signature?: readonly number[];
  readonly data?: Uint8Array | Float32Array | Int32Array | Int8Array;
  readonly quantization?: Draft<NonNullable<Tensor['quantization']>>;
}

export interface OperatorRow {
  readonly op: BuiltinOperator | `CUSTOM ${string}`;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly options?: Draft<BuiltinOptions>;
}

/** The bytes of a model of these tensors and operators; '' among the inputs is one that is left out. */
export function modelOf(
  tensors: { readonly [name: string]: TensorRow },
  operators: readonly OperatorRow[],
  {
    inputs = ['x'],
    outputs = ['y'],
  }: { readonly inputs?: readonly string[]; readonly outputs?: readonly string[] } = {},
): Uint8Array {
  const names = Object.keys(tensors);
  const indices = (list: readonly string[]) => list.map((name) => names.indexOf(name));
  const buffers: { data?: Uint8Array }[] = [{}];
  const rows = Object.entries(tensors).map(([name, { type, shape, signature, data, quantization }]) => {
    if (data) buffers.push({ data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) });
    return {
      name,
      type: type ?? (data instanceof Int32Array ? 'INT32' : 'FLOAT32'),
      shape,
      buffer: data ? buffers.length - 1 : 0,
      ...(signature && { shapeSignature: signature }),
      ...(quantization && { quantization }),
    };
  });
  const codes = operators.map(({ op }) => {
    const builtinCode = op.startsWith('CUSTOM') ? 'CUSTOM' : (op as keyof typeof builtinOperatorValues);
    const deprecatedBuiltinCode = Math.min(builtinOperatorValues[builtinCode], 127);
    return { builtinCode, deprecatedBuiltinCode, ...(builtinCode === 'CUSTOM' && { customCode: op.slice(7) }) };
  });
  return encodeModel({
    version: 3,
    operatorCodes: codes,
    buffers,
    subgraphs: [
      {
        tensors: rows,
        inputs: indices(inputs),
        outputs: indices(outputs),
        operators: operators.map((row, i) => ({
          opcodeIndex: i,
          inputs: indices(row.inputs),
          outputs: indices(row.outputs),
          ...(row.options && { builtinOptions: row.options }),
        })),
      },
    ],
  } as Draft<Model>);
}
