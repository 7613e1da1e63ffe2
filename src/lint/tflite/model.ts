import { MbertError } from '../../errors.ts';
import { decodeFlatbuffer } from '../../formats/tflite/decode.ts';
import {
  type BuiltinOptions,
  builtinOperatorValues,
  type Model,
  modelRoot,
  type SubGraph,
  type TensorType,
} from '../../formats/tflite/generated/model.ts';
import type { DType } from '../../ir/tensor.ts';

/** A tensor of a written file with what rules ask of it. */
export interface LintTensor {
  readonly index: number;
  readonly name: string;
  readonly type: TensorType;
  /** The shape in the file, before a run resizes anything. */
  readonly shape: readonly number[];
  /** The scales; empty where the tensor is not quantized, or is by blocks. */
  readonly scales: Float32Array;
  readonly zeroPoints: readonly number[];
  readonly quantizedDimension: number;
  readonly block: { readonly scales: LintTensor | undefined; readonly size: number } | undefined;
  /** The bytes of a constant. */
  readonly data: Uint8Array | undefined;
  readonly buffer: number;
}

/** An operator of a written file with what rules ask of it. */
export interface LintOperator {
  /** The operator's name, as `FULLY_CONNECTED`, or that of a custom operator. */
  readonly code: string;
  /** The index of its code among the file's operator codes; several operators share one. */
  readonly codeIndex: number;
  readonly version: number;
  /** The inputs; undefined is an optional one that is left out. */
  readonly inputs: readonly (LintTensor | undefined)[];
  readonly outputs: readonly LintTensor[];
  readonly options: BuiltinOptions | undefined;
  /** The first output's name, as operators have none. */
  readonly where: string;
}

/** A subgraph of a written file. */
export interface LintGraph {
  readonly tensors: readonly LintTensor[];
  readonly operators: readonly LintOperator[];
  readonly inputs: readonly LintTensor[];
  readonly outputs: readonly LintTensor[];
}

/** A written TFLite file as rules see it. */
export interface TfliteModel {
  readonly bytes: Uint8Array;
  readonly file: Model;
  readonly graphs: readonly LintGraph[];
  /** The bytes of each buffer, also of those after the FlatBuffer. */
  readonly buffers: readonly (Uint8Array | undefined)[];
}

/**
 * Reads a file's bytes; `what` names it in errors. Throws MALFORMED where the file refers to a part that it does not
 * have.
 */
export function readTfliteModel(bytes: Uint8Array, what: string): TfliteModel {
  const file = decodeFlatbuffer(modelRoot, bytes, what);
  const buffers = (file.buffers ?? []).map(({ data, offset, size }, i) => {
    // Weights beyond 2 GiB lie after the FlatBuffer; 0 and 1 are what writers put where there are none.
    if (offset <= 1) return data;
    if (offset + size > bytes.byteLength) malformed(what, `buffer ${i}`, 'lies outside the file');
    return bytes.subarray(offset, offset + size);
  });
  return { bytes, file, buffers, graphs: (file.subgraphs ?? []).map((graph) => readGraph(file, graph, buffers, what)) };
}

/** Lists the operators of all subgraphs that have one of the codes; without codes, all of them. */
export function* operatorsOf(model: TfliteModel, ...codes: readonly string[]): Iterable<LintOperator> {
  for (const { operators } of model.graphs) {
    for (const operator of operators) if (codes.length === 0 || codes.includes(operator.code)) yield operator;
  }
}

export function* tensorsOf(model: TfliteModel): Iterable<LintTensor> {
  for (const { tensors } of model.graphs) yield* tensors;
}

const DTYPES: { readonly [T in TensorType]?: DType } = {
  FLOAT32: 'f32',
  FLOAT16: 'f16',
  FLOAT64: 'f64',
  BFLOAT16: 'bf16',
  INT4: 'i4',
  UINT4: 'u4',
  INT8: 'i8',
  UINT8: 'u8',
  INT16: 'i16',
  UINT16: 'u16',
  INT32: 'i32',
  UINT32: 'u32',
  INT64: 'i64',
  UINT64: 'u64',
  BOOL: 'bool',
};

/** The type in mbert's terms; undefined for types that mbert does not know, such as texts. */
export function dtypeOf({ type }: LintTensor): DType | undefined {
  return DTYPES[type];
}

function readGraph(
  file: Model,
  graph: SubGraph,
  buffers: readonly (Uint8Array | undefined)[],
  what: string,
): LintGraph {
  const tensors: LintTensor[] = (graph.tensors ?? []).map((tensor, index) => {
    const { quantization } = tensor;
    const name = tensor.name ?? `tensor ${index}`;
    if (tensor.buffer >= buffers.length)
      malformed(what, name, `refers to buffer ${tensor.buffer} of ${buffers.length}`);
    const details = quantization?.details;
    return {
      index,
      name,
      type: tensor.type,
      shape: tensor.shape ?? [],
      scales: quantization?.scale ?? new Float32Array(0),
      zeroPoints: quantization?.zeroPoint ?? [],
      quantizedDimension: quantization?.quantizedDimension ?? 0,
      get block() {
        if (details?.kind !== 'BlockwiseQuantization') return undefined;
        return { scales: tensors[details.value.scales], size: details.value.blockSize };
      },
      // An empty buffer is a tensor that is computed.
      data: buffers[tensor.buffer]?.byteLength ? buffers[tensor.buffer] : undefined,
      buffer: tensor.buffer,
    };
  });
  const at = (index: number, where: string): LintTensor =>
    tensors[index] ?? malformed(what, where, `refers to tensor ${index} of ${tensors.length}`);
  const operators = (graph.operators ?? []).map((operator, i) => {
    const code = file.operatorCodes?.[operator.opcodeIndex];
    if (code === undefined) malformed(what, `operator ${i}`, `has no operator code ${operator.opcodeIndex}`);
    const outputs = (operator.outputs ?? []).map((index) => at(index, `operator ${i}`));
    return {
      code: codeName(code),
      codeIndex: operator.opcodeIndex,
      version: code.version,
      inputs: (operator.inputs ?? []).map((index) => (index === -1 ? undefined : at(index, `operator ${i}`))),
      outputs,
      options: operator.builtinOptions,
      where: outputs[0]?.name ?? `operator ${i}`,
    };
  });
  return {
    tensors,
    operators,
    inputs: (graph.inputs ?? []).map((index) => at(index, 'inputs')),
    outputs: (graph.outputs ?? []).map((index) => at(index, 'outputs')),
  };
}

const NAMES = new Map<number, string>(Object.entries(builtinOperatorValues).map(([name, value]) => [value, name]));

/** The name of an operator code. Files from before 2020 have the old field only, which ends at 127. */
function codeName(code: NonNullable<Model['operatorCodes']>[number]): string {
  const builtin = builtinOperatorValues[code.builtinCode as keyof typeof builtinOperatorValues];
  const number = Math.max(builtin ?? 0, code.deprecatedBuiltinCode);
  const name = builtin === undefined ? code.builtinCode : (NAMES.get(number) ?? code.builtinCode);
  return name === 'CUSTOM' ? (code.customCode ?? name) : name;
}

function malformed(what: string, part: string, problem: string): never {
  throw new MbertError('MALFORMED', `${what}: ${part}: ${problem}`);
}
