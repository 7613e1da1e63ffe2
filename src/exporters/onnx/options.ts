/** Options of an ONNX model, as bytes or as records. */
export interface OnnxModelOptions {
  /** Storage of weights; the arithmetic is f32 either way. */
  readonly dtype: 'f32' | 'f16';
  /** Version of the operator set, 13 to 23, at least the graph's `minimumOpset`. */
  readonly opset: number;
  /** The operators that the file may use: those of the standard, or ONNX Runtime's own besides. Default `standard`. */
  readonly operators?: 'standard' | 'onnxruntime';
  /** Entries of `metadata_props`. */
  readonly properties: { readonly [key: string]: string };
  readonly producerVersion: string;
}
