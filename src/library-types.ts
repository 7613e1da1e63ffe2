// Types of what the library's functions take and return, beside those that index.ts exports with these functions.
export type { GraphDiff } from './diff/diff-graphs.ts';
export type {
  AttributesDifference,
  AttrValue,
  Difference,
  GraphDifference,
  InputTypeDifference,
  Kind as DifferenceKind,
  MetadataDifference,
  MovedDifference,
  Names as NodeNames,
  NodeRef,
  NodesDifference,
  NumericDifference,
  OperandsDifference,
  PortChange,
  PortDifference,
  PortNamesDifference,
  QuantDifference,
  Reader as PortReader,
  RewiredDifference,
  SizeDifference,
  StructureDifference,
  ValueError,
  WeightDifference,
} from './diff/difference.ts';
export type { OnnxNeeds } from './exporters/onnx/needs.ts';
export type { OnnxModelOptions } from './exporters/onnx/options.ts';
export type { TfliteMetadata } from './exporters/tflite/metadata.ts';
export type { ModuleChain, Origin as CheckpointOrigin, SavedModule } from './formats/checkpoint.ts';
export type { JsonObject, JsonValue } from './formats/json.ts';
export type { NamedBytes, TokenizerFiles } from './formats/tokenizer-files.ts';
export type { CheckpointSource, GraphSource } from './importers/importer.ts';
export type { SourceOptions } from './importers/index.ts';
export type { AttrsOf } from './ir/ops/index.ts';
export type { Attempt as RuleAttempt, EmbeddingRank, Rule } from './ir/pass.ts';
export type {
  ChannelStatistics,
  Gram,
  Histogram,
  NodeStatistics,
  Statistics,
  StatisticsRequest,
} from './ir/statistics.ts';
export type { NumberArray, TypedArray } from './ir/tensor.ts';
export type { ConstantSource } from './ir/text.ts';
export type { Kernel as ProductKernel, Part as ProductPart, Product as PredictedProduct } from './lint/onnx/kernels.ts';
export type { Finding, RuleFinding } from './lint/rule.ts';
export type { Distribution } from './metrics/distribution.ts';
export type { EmbeddingAgreement } from './metrics/embeddings.ts';
export type { ModelDescription as ModelFacts } from './models/index.ts';
export type { LogitsKind } from './models/scores.ts';
export type { PassTime } from './observers/pass-times.ts';
export type { GraphOutline, OutlineNode, OutlineWeight } from './opened/outline.ts';
export type { EvidenceOptions } from './options/evidence.ts';
export type { FolderLayoutOptions, FormName, LayoutName } from './options/forms.ts';
export type { ModelOptions } from './options/model.ts';
export type { PassOptions } from './options/passes.ts';
export type { QuantizationOptions } from './options/quantization.ts';
export type { ObserveOptions } from './options/run.ts';
export type { ShapeOptions, Size as AxisSize } from './options/shape.ts';
export type { StepCount } from './options/step-count.ts';
export type { Times } from './options/stopwatch.ts';
export type { WritingOptions } from './options/writing.ts';
export type { PassEntry } from './passes/index.ts';
export type { PrunedGroup } from './passes/prune/prune-plan.ts';
export type { SplitEmbedding } from './passes/split-embedding.ts';
export type { Shard } from './pipelines/batch/jobs.ts';
export type { BenchFormat } from './pipelines/bench/models.ts';
export type { Profile } from './pipelines/bench/profile.ts';
export type { Spread as TimeSpread } from './pipelines/bench/spread.ts';
export type { NumericResult, OutputResult } from './pipelines/diff/numeric.ts';
export type { DifferencePlaces, DiffOutline } from './pipelines/diff/outline.ts';
export type { AgreementOf } from './pipelines/evaluate/agreement.ts';
export type { LayerProof, Proof } from './pipelines/evaluate/compare-files.ts';
export type { SpeedResult } from './pipelines/evaluate/compare-speed.ts';
export type { ChoicesBy } from './pipelines/evaluate/decisions.ts';
export type { EncoderLayer } from './pipelines/evaluate/encoder-layers.ts';
export type { ExplainedRun } from './pipelines/explain/explain-pass.ts';
export type { Method as ExtractMethod } from './pipelines/extract/importance.ts';
export type { MobileBertSizes } from './pipelines/extract/mobilebert/shape.ts';
export type { StudentShape, TeacherShape } from './pipelines/extract/sizes.ts';
export type {
  BudgetRow,
  Distillation,
  FitReport,
  FitRow,
  HeldOut,
  Operations,
  Pruning,
  Transfer,
} from './pipelines/fit/types.ts';
export type { WrittenResult } from './pipelines/fit/written-result.ts';
export type { QuantizedParts, VocabularySizes } from './pipelines/folder/types.ts';
export type { TextOptions } from './pipelines/inspect/values-on-texts.ts';
export type { Trial as MapTrial } from './pipelines/map-layers/distill-trials.ts';
export type {
  Fitness,
  Method as MapLayersMethod,
  SearchSummary as MapSearchSummary,
} from './pipelines/map-layers/types.ts';
export type { ChannelRanges, Spread as ChannelSpread } from './pipelines/quantize/calibration-runs.ts';
export type { BiasComparison, RefitComparison, RoundingComparison } from './pipelines/quantize/decision.ts';
export type { ParetoRow, ScannedSite, ScanResult } from './pipelines/quantize/scan.ts';
export type { SearchForm } from './pipelines/search/storage.ts';
export type { Strategy } from './pipelines/training/stages.ts';
export type { TrialResult } from './pipelines/training/trial.ts';
export type { CurvePoint } from './pipelines/training/types.ts';
export type { DistanceMeasure } from './pipelines/verify/view-distances.ts';
export type { PassSummary } from './pipelines/write/prepare.ts';
export type { WrittenFile } from './pipelines/write/write-model.ts';
export type { NodeScheme, RangeMethod, Rounding, Scheme } from './quantization/settings.ts';
export type { Granularity } from './quantization/weights.ts';
export type { Place as PagePlace, ServedPlace as ServedPagePlace } from './reports/html/page.ts';
export type { ColumnNames } from './samples/columns.ts';
export type { TokenRow } from './samples/feeds.ts';
export type { SampleManifest } from './samples/open-samples.ts';
export type { View } from './samples/views.ts';
