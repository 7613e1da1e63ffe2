export { type ErrorCode, MbertError } from './errors.ts';
export type { Exporter } from './exporters/exporter.ts';
export { type OnnxOptions, onnx } from './exporters/onnx.ts';
export { type TfliteOptions, tflite } from './exporters/tflite.ts';
export type { Checkpoint } from './formats/checkpoint.ts';
export type { Importer, Source } from './importers/importer.ts';
export { importers, openSource } from './importers/index.ts';
export {
  convertInMemory,
  type Files,
  type InMemoryOptions,
  type InMemoryResult,
  quantizeInMemory,
} from './in-memory.ts';
export { type ModelFile, type OutputFile, openFile, writeFiles } from './io/files.ts';
export { evaluate } from './ir/evaluate.ts';
export { type Call, type Constant, Graph, type Input, type Node, type Output } from './ir/graph.ts';
export { any, either, match, op, type Pattern, scalar, weight, where, why } from './ir/match.ts';
export { type Miss, missText } from './ir/miss.ts';
export type { Attr, Attrs } from './ir/op.ts';
export { type OpName, ops } from './ir/ops/index.ts';
export { type Pass, type PassContext, type PassObserver, type PassReport, rewrite, runPasses } from './ir/pass.ts';
export type { Bindings, Dim, Shape } from './ir/shape.ts';
export {
  convertTensor,
  DTYPES,
  type DType,
  type Quant,
  readF32,
  type Tensor,
  type TensorType,
  tensorOf,
} from './ir/tensor.ts';
export { graphText, parseGraph } from './ir/text.ts';
export { verifyGraph } from './ir/verify-graph.ts';
export type * from './library-types.ts';
export { type LintResult, lintFile, predictOnnxRuntime } from './lint/lint-file.ts';
export { architectures, type BuildOptions, type BuiltModel, buildModel, TASKS, type Task } from './models/index.ts';
export { openTokenizer } from './opened/open-tokenizer.ts';
export type { ColumnOptions } from './options/evidence.ts';
export type { Progress, RunOptions, Stage } from './options/run.ts';
export { passes, selectPasses, type Target } from './passes/index.ts';
export {
  type BenchInputs,
  type BenchOptions,
  type BenchResult,
  type BenchRow,
  bench,
} from './pipelines/bench/bench.ts';
export { type ComparedModel, type CompareOptions, type CompareResult, compare } from './pipelines/compare/compare.ts';
export { type ConvertedFile, type ConvertOptions, type ConvertResult, convert } from './pipelines/convert/convert.ts';
export type { OutputComparison, WrittenVerification } from './pipelines/convert/verify-written.ts';
export {
  type DiffModelsOptions,
  diffModels,
  type ModelDiff,
  type SideSummary,
  type SizeLimit,
} from './pipelines/diff/diff-models.ts';
export { distill } from './pipelines/distill/distill.ts';
export type { DistillOptions, DistillResult } from './pipelines/distill/types.ts';
export { encoderLayers } from './pipelines/evaluate/encoder-layers.ts';
export { type LayerPair, readLayerMap } from './pipelines/evaluate/layer-map.ts';
export {
  type LayerLosses,
  type TransferLosses,
  type TransferOptions,
  transferLosses,
} from './pipelines/evaluate/transfer.ts';
export { type ExplainOptions, type Explanation, explainPass } from './pipelines/explain/explain-pass.ts';
export { type ExtractOptions, type ExtractResult, extract } from './pipelines/extract/extract.ts';
export type { FolderOptions, FolderResult, Measured, WrittenForm } from './pipelines/folder/types.ts';
export { writeFolder } from './pipelines/folder/write-folder.ts';
export type { DelegateSummary, ModelDescription, Port, StoredWeights } from './pipelines/inspect/describe.ts';
export { type InspectOptions, type InspectResult, inspect } from './pipelines/inspect/inspect.ts';
export { mapLayers } from './pipelines/map-layers/map-layers.ts';
export type { LayerMapping, LayerMappings, MapLayersOptions } from './pipelines/map-layers/types.ts';
export {
  type QuantizedFile,
  type QuantizeOptions,
  type QuantizeResult,
  quantize,
} from './pipelines/quantize/quantize.ts';
export { search } from './pipelines/search/search.ts';
export type {
  Budget,
  FoundModel,
  LayerSummary,
  MissedBudget,
  SearchOptions,
  SearchResult,
} from './pipelines/search/types.ts';
export type {
  Confusion,
  Drop,
  Flip,
  Flips,
  LayerComparison,
  LayerError,
  MetricName,
  OutputAgreement,
  PartedText,
  Parting,
  TaskMetrics,
  VerifiedModel,
  VerifyInputs,
  VerifyResult,
  ViewAgreement,
  ViewsAgreement,
} from './pipelines/verify/types.ts';
export { type VerifyOptions, verify } from './pipelines/verify/verify.ts';
export type { TargetName } from './quantization/targets.ts';
export { benchText } from './reports/bench.ts';
export { diffGithub } from './reports/diff-github.ts';
export { diffMarkdown } from './reports/diff-markdown.ts';
export { diffText } from './reports/diff-text.ts';
export { graphPage, inspectText } from './reports/inspect.ts';
export { pages } from './reports/pages.ts';
export { quantizeText } from './reports/quantize.ts';
export { convertText } from './reports/text.ts';
export { verifyResultText } from './reports/verify.ts';
export { runtimeFor } from './runtimes/index.ts';
export type { LoadOptions, Runtime, RuntimeSession, TensorInfo } from './runtimes/runtime.ts';
export {
  encodeSample,
  parseSamples,
  readSamples,
  type Sample,
} from './samples/samples.ts';
export type { Texts, Tokenizer } from './samples/tokenizer.ts';
export { VERSION } from './version.ts';
