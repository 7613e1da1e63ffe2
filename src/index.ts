export {
  encodeSample,
  parseSamples,
  readSamples,
  type Sample,
} from './calibration/samples.ts';
export { type NamedBytes, readWordPiece, type WordPiece } from './calibration/wordpiece.ts';
export type { Checkpoint } from './checkpoint.ts';
export { type ErrorCode, MbertError } from './errors.ts';
export { evaluate } from './evaluate.ts';
export type { Exporter } from './exporters/exporter.ts';
export { type OnnxOptions, onnx } from './exporters/onnx.ts';
export { type TfliteOptions, tflite } from './exporters/tflite.ts';
export { type ModelFile, type OutputFile, openFile, writeFiles } from './files.ts';
export { type Call, type Constant, Graph, type Input, type Node, type Output } from './graph.ts';
export type { Importer, Source } from './importers/importer.ts';
export { importers, openSource } from './importers/index.ts';
export { any, either, match, op, type Pattern, scalar, weight } from './match.ts';
export { architectures, type BuildOptions, type BuiltModel, buildModel, TASKS, type Task } from './models/index.ts';
export type { Attr, Attrs } from './op.ts';
export { type OpName, ops } from './ops/index.ts';
export { type Pass, type PassContext, type PassReport, rewrite, runPasses } from './pass.ts';
export { passes, selectPasses, type Target } from './passes/index.ts';
export { type BenchOptions, type BenchResult, type BenchRow, bench } from './pipelines/bench.ts';
export { type ConvertedFile, type ConvertOptions, type ConvertResult, convert } from './pipelines/convert.ts';
export { type InspectOptions, type InspectResult, inspect } from './pipelines/inspect.ts';
export { type LintResult, lintFile, predictOnnxRuntime } from './pipelines/lint.ts';
export { type QuantizedFile, type QuantizeOptions, type QuantizeResult, quantize } from './pipelines/quantize.ts';
export { encoderLayers } from './pipelines/verify/encoder-layers.ts';
export { type LayerPair, readLayerMap } from './pipelines/verify/layer-map.ts';
export { type TransferOptions, transferLosses } from './pipelines/verify/transfer.ts';
export type {
  Drop,
  LayerComparison,
  LayerError,
  LayerLosses,
  MetricName,
  OutputAgreement,
  Parting,
  TaskMetrics,
  TransferLosses,
  VerifiedModel,
  VerifyInputs,
  VerifyResult,
} from './pipelines/verify/types.ts';
export { type VerifyOptions, verify } from './pipelines/verify.ts';
export type { OutputComparison, WrittenVerification } from './pipelines/verify-written.ts';
export { runtimeFor } from './runtimes/index.ts';
export type { LoadOptions, Runtime, RuntimeSession, TensorInfo } from './runtimes/runtime.ts';
export type { Bindings, Dim, Shape } from './shape.ts';
export {
  convertTensor,
  DTYPES,
  type DType,
  type Quant,
  readF32,
  type Tensor,
  type TensorType,
  tensorOf,
} from './tensor.ts';
export { graphText, parseGraph } from './text.ts';
export { verifyGraph } from './verify-graph.ts';
export { VERSION } from './version.ts';
