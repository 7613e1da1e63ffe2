import { Builder, type Offset } from 'flatbuffers';

/** TensorType in TFLite's schema. */
const TYPES = { f32: 0, i32: 2, u8: 3, i8: 9 } as const;
const RELU = 19;

/** The bytes of a TFLite model `out = relu(in)`, written by field number; -1 is a dynamic dimension. */
export function reluModel(shape: readonly number[], type: keyof typeof TYPES = 'f32'): Uint8Array {
  const b = new Builder(1024);
  const vector = (values: readonly number[], add: (value: number) => void): Offset => {
    b.startVector(4, values.length, 4);
    for (const value of values.toReversed()) add(value);
    return b.endVector();
  };
  const integers = (...values: readonly number[]) => vector(values, (value) => b.addInt32(value));
  const offsets = (...values: readonly Offset[]) => vector(values, (value) => b.addOffset(value));
  const table = (fields: number, fill: () => void): Offset => {
    b.startObject(fields);
    fill();
    return b.endObject();
  };
  const tensor = (name: string) => {
    const parts = [
      integers(...shape.map((dim) => Math.max(dim, 1))),
      b.createString(name),
      integers(...shape),
    ] as const;
    return table(9, () => {
      b.addFieldOffset(0, parts[0], 0);
      b.addFieldInt8(1, TYPES[type], 0);
      b.addFieldOffset(3, parts[1], 0);
      b.addFieldOffset(7, parts[2], 0); // shape_signature, which counts only with has_rank
      b.addFieldInt8(8, 1, 0);
    });
  };
  const named = (name: string, index: number) => {
    const text = b.createString(name);
    return table(2, () => {
      b.addFieldOffset(0, text, 0);
      b.addFieldInt32(1, index, 0);
    });
  };

  const tensors = offsets(tensor('x'), tensor('y'));
  const [inputs, outputs] = [integers(0), integers(1)];
  const operator = table(4, () => {
    b.addFieldOffset(1, inputs, 0);
    b.addFieldOffset(2, outputs, 0);
  });
  const operators = offsets(operator);
  const subgraph = table(5, () => {
    b.addFieldOffset(0, tensors, 0);
    b.addFieldOffset(1, inputs, 0);
    b.addFieldOffset(2, outputs, 0);
    b.addFieldOffset(3, operators, 0);
  });
  const code = table(4, () => {
    b.addFieldInt8(0, RELU, 0);
    b.addFieldInt32(3, RELU, 0);
  });
  const [signatureInputs, signatureOutputs] = [offsets(named('in', 0)), offsets(named('out', 1))];
  const key = b.createString('serving_default');
  const signature = table(5, () => {
    b.addFieldOffset(0, signatureInputs, 0);
    b.addFieldOffset(1, signatureOutputs, 0);
    b.addFieldOffset(2, key, 0);
  });
  const parts = { codes: offsets(code), subgraphs: offsets(subgraph), signatures: offsets(signature) };
  const buffers = offsets(table(1, () => {}));
  const model = table(8, () => {
    b.addFieldInt32(0, 3, 0); // version
    b.addFieldOffset(1, parts.codes, 0);
    b.addFieldOffset(2, parts.subgraphs, 0);
    b.addFieldOffset(4, buffers, 0);
    b.addFieldOffset(7, parts.signatures, 0);
  });
  b.finish(model, 'TFL3');
  return b.asUint8Array().slice();
}
