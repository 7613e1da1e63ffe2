import { encodeOnnx } from '../formats/onnx-encode.ts';
import type { Exporter } from './exporter.ts';
import { onnxModel } from './onnx/model.ts';
import type { OnnxModelOptions } from './onnx/options.ts';

export { minimumOpset } from './onnx/quantization.ts';

export interface OnnxOptions extends OnnxModelOptions {
  /** Name of the model's file; external data goes to `<name>.data` beside it. */
  readonly name: string;
  /** True writes weights beside the model, false never does. Default: only above protobuf's 2 GiB. */
  readonly externalData?: boolean;
}

/**
 * Writes standard ONNX operators, and where `operators` says so ONNX Runtime's own for weights in blocks, in the forms that ONNX Runtime runs fastest (rank-2 Gemm, a residual as its C,
 * quantized linears as what it fuses to one integer product). Errors: USAGE for an opset that is unknown or below
 * `minimumOpset`, or a model that needs external data, UNSUPPORTED for what ONNX has no form for.
 */
export const onnx: Exporter<OnnxOptions> = {
  name: 'onnx',
  defaults: { name: 'model.onnx', dtype: 'f32', opset: 17, properties: {}, producerVersion: '' },
  async *write(graph, options) {
    yield* encodeOnnx(onnxModel(graph, options), {
      fileName: options.name,
      ...(options.externalData !== undefined && { externalData: options.externalData }),
    });
  },
};
