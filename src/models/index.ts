import { MbertError } from '../errors.ts';
import type { Checkpoint, ModuleChain } from '../formats/checkpoint.ts';
import { jsonText } from '../formats/json.ts';
import { Graph } from '../ir/graph.ts';
import { type Dim, product } from '../ir/shape.ts';
import { albert } from './albert.ts';
import type { Architecture, Model, Task } from './architecture.ts';
import { bert } from './bert.ts';
import { attentionMask, type Builder, joinChoices, type MaskStyle } from './builder.ts';
import { checkClaims } from './claims.ts';
import { readArchitectureName, readConfig, readLabels } from './config.ts';
import { deberta, debertaV2 } from './deberta.ts';
import { distilbert } from './distilbert.ts';
import { electra } from './electra.ts';
import { ernie } from './ernie.ts';
import { gte } from './gte.ts';
import { buildHead, classCount, TASKS, taskOfAdapter, taskOfClass, taskOfWeights } from './heads.ts';
import { megatronBert } from './megatron-bert.ts';
import { mobilebert } from './mobilebert.ts';
import { modernbert } from './modernbert.ts';
import { chainKind, colbertChain, maxSequence } from './modules.ts';
import { mpnet } from './mpnet.ts';
import { type NamedCheckpoint, underTorchNames } from './names/index.ts';
import { nomicBert } from './nomic-bert.ts';
import { rembert } from './rembert.ts';
import { camembert, data2vecText, roberta, xlmRoberta } from './roberta.ts';
import { robertaPreLayerNorm } from './roberta-prelayernorm.ts';
import { roformer } from './roformer.ts';
import { type LogitsKind, logitsKind, readScoreActivation } from './scores.ts';
import { openWeights, type Weights } from './weights.ts';

export type { Task } from './architecture.ts';
export { PAIR_TASKS, TASKS } from './heads.ts';
export type { LogitsKind } from './scores.ts';

/** Families of models that mbert builds from weights. */
export const architectures: readonly Architecture[] = [
  mobilebert,
  bert,
  distilbert,
  roberta,
  xlmRoberta,
  camembert,
  data2vecText,
  robertaPreLayerNorm,
  electra,
  albert,
  mpnet,
  ernie,
  rembert,
  megatronBert,
  deberta,
  debertaV2,
  modernbert,
  nomicBert,
  gte,
  roformer,
];

function refuseTask({ modelType, tasks }: Architecture, task: Task): never {
  throw new MbertError('USAGE', `--task ${task}: ${modelType} models have no such head`, {
    hint: `they have ${tasks.join(', ')}`,
  });
}

/** Reasons for refusing families that look like these and compute something else. */
const REFUSED: ReadonlyMap<unknown, string> = new Map([
  ['convbert', 'half of its attention is convolutions whose kernels are computed from each token'],
]);

/** Facts that a checkpoint's config tells. */
export interface ModelDescription {
  readonly architecture: Architecture;
  readonly task: Task;
  /** Longest sequence that the model has positions for. */
  readonly maxPositions: number;
  /** Names of the classes in order, for classifiers whose config has them. */
  readonly labels: readonly string[] | undefined;
  /** What a classifier's logits are where softmax does not make probabilities of them. */
  readonly logitsKind: LogitsKind | undefined;
  /** Longest sequence that texts are cut to, where that is said and shorter than the model's longest. */
  readonly usualLength: number | undefined;
}

export interface BuildOptions {
  /** Task to build the model for. Default: what `architectures` in config.json says, else what the weights show. */
  readonly task?: Task | undefined;
  readonly batch: number | 'batch';
  readonly sequenceLength: number | 'sequence';
  /** Number of choices, for multiple choice only. Default: the symbol. */
  readonly choices?: number | 'choices' | undefined;
  readonly indexType: 'i32' | 'i64';
  /** Masking of padding: `faithful`, the default, to the source's code, or `strict`, which gives it no attention. */
  readonly mask?: 'faithful' | 'strict' | undefined;
}

export interface BuiltModel extends ModelDescription {
  readonly graph: Graph;
  /** Warnings, worded `file: part: problem`. */
  readonly warnings: readonly string[];
  /** Names of weights that the graph does not hold, expected or not. */
  readonly unused: readonly string[];
}

/** Reads the config alone. Throws MALFORMED, UNSUPPORTED or MISMATCH with one line for each problem in it. */
export function describeModel(source: Checkpoint, wanted?: Task): ModelDescription {
  const checkpoint = underTorchNames(source);
  return describe(readModel(checkpoint, wanted, openWeights(checkpoint)));
}

function describe({ architecture, model, task, labels, logitsKind, chain }: ReadModel): ModelDescription {
  const { maxPositions } = model;
  const length = chain && maxSequence(chain);
  return {
    architecture,
    task,
    maxPositions,
    labels,
    logitsKind,
    usualLength: length === undefined ? undefined : Math.min(length, maxPositions),
  };
}

/**
 * Builds the graph of a checkpoint as the source's code computes: nothing folded, nothing fused, weights as stored.
 * Inputs input_ids, attention_mask and token_type_ids [batch, sequence] (multiple choice: [batch, choices, sequence]).
 * Throws MISMATCH where weights are missing, misshapen or contradict the config. A weight that holds NaN or infinity is
 * refused when it is first read.
 */
export function buildModel(source: Checkpoint, options: BuildOptions): BuiltModel {
  const checkpoint = underTorchNames(source);
  const weights = openWeights(checkpoint);
  const read = readModel(checkpoint, options.task, weights);
  const { architecture, model, task, labels, scope, chain, scores } = read;
  checkLength(options.sequenceLength, model.maxPositions, checkpoint);
  checkClaims(checkpoint, model.sizes(scope), model.counts(scope));
  const graph = new Graph(architecture.modelType);
  const choices = task === 'multiple-choice' ? (options.choices ?? 'choices') : undefined;
  const mask = options.mask === 'strict' ? 'added' : model.mask;
  const modelWarnings: string[] = [];
  const warn = (problem: string) => void modelWarnings.push(`${checkpoint.path}: ${problem}`);
  const { takesTokenTypes = architecture.takesTokenTypes } = model;
  const builder = openBuilder(graph, weights, { ...options, takesTokenTypes, mask, choices, warn });
  const hidden = model.encode(builder, scope);
  const encoderProblems = weights.problemCount();
  // Where only the encoder is asked for, its modules are no strays.
  if (!usesChain(task, chain)) for (const { path } of chain?.modules ?? []) if (path !== '') weights.skip(path);
  buildHead(task, {
    builder,
    model,
    scope,
    hidden,
    labelCount: labels?.length,
    batch: options.batch,
    choices: choices ?? 1,
    chain,
    scoreActivation: scores?.activation,
    warn: (problem) => modelWarnings.push(problem),
  });
  // Models with a head that does not pool were stored with the pooler by early versions of transformers.
  weights.skip(`${scope}pooler`);
  const onlyHeadFails = encoderProblems === 0 && task !== 'features';
  const { unused, warnings } = weights.finish(onlyHeadFails ? headHint(weights, architecture, task) : undefined);
  return {
    ...describe(read),
    graph,
    unused,
    warnings: [...checkpoint.notes, ...read.configWarnings, ...warnings, ...modelWarnings],
  };
}

interface ReadModel {
  readonly architecture: Architecture;
  readonly model: Model;
  readonly task: Task;
  readonly labels: readonly string[] | undefined;
  readonly logitsKind: LogitsKind | undefined;
  readonly scores: ReturnType<typeof readScoreActivation>;
  readonly chain: ModuleChain | undefined;
  /** Warnings about the config, worded `file: part: problem`. */
  readonly configWarnings: readonly string[];
  readonly scope: string;
}

function readModel(checkpoint: NamedCheckpoint, wanted: Task | undefined, weights: Weights): ReadModel {
  const { config, configPath, tensors, origin } = checkpoint;
  const architecture = findArchitecture(checkpoint);
  const reader = readConfig(config, configPath);
  const chain = findChain(checkpoint, weights);
  const task =
    wanted ?? taskOfChain(chain) ?? taskOfAdapter(checkpoint.taskType) ?? findTask(checkpoint, architecture, weights);
  if (task === 'sentence-embedding') refuseWithoutChain(checkpoint, chain);
  else if (wanted !== undefined && !architecture.tasks.includes(wanted)) refuseTask(architecture, wanted);
  const model = architecture.read(reader, origin, task);
  const classes = task.endsWith('-classification') ? readLabels(config, reader) : undefined;
  reader.finish();
  const { module, formerModule } = architecture;
  const prefixes = (formerModule === undefined ? [module] : [module, formerModule]).map((name) => `${name}.`);
  const scope = prefixes.find((prefix) => [...tensors.keys()].some((name) => name.startsWith(prefix))) ?? '';
  const labels = classes?.names;
  const isClassifier = task === 'sequence-classification';
  const count = labels?.length ?? classCount(weights);
  const scores = isClassifier ? readScoreActivation(checkpoint, count) : undefined;
  return {
    architecture,
    model,
    task,
    labels,
    logitsKind: isClassifier ? logitsKind(config, count) : undefined,
    scores,
    chain,
    configWarnings: [
      ...(classes?.warning === undefined ? [] : [`${configPath}: ${classes.warning}`]),
      ...(scores?.warning === undefined ? [] : [scores.warning]),
    ],
    scope,
  };
}

/** Class of checkpoints of Stanford's ColBERT, whose module beside the encoder is not listed anywhere. */
const COLBERT = 'HF_ColBERT';
const COLBERT_PROJECTION = 'linear.weight';

function findChain({ moduleChain, config, configPath }: Checkpoint, weights: Weights): ModuleChain | undefined {
  if (moduleChain !== undefined || readArchitectureName(config) !== COLBERT) return moduleChain;
  return colbertChain(configPath, weights.shapeOf(COLBERT_PROJECTION)?.[0] ?? 1);
}

function taskOfChain(chain: ModuleChain | undefined): Task | undefined {
  const kind = chain && chainKind(chain);
  return kind === 'sentence' ? 'sentence-embedding' : kind && 'features';
}

function usesChain(task: Task, chain: ModuleChain | undefined): boolean {
  return task === 'sentence-embedding' || (task === 'features' && taskOfChain(chain) === 'features');
}

function refuseWithoutChain({ path }: Checkpoint, chain: ModuleChain | undefined): void {
  if (taskOfChain(chain) === 'sentence-embedding') return;
  throw new MbertError('UNSUPPORTED', `${path}: there is no pooling beside it`, {
    hint: 'a sentence-transformers folder says in modules.json how tokens become one vector: give the whole folder',
  });
}

function findArchitecture({ config, configPath, tensors }: Checkpoint): Architecture {
  const type = config.get('model_type');
  const isNamedIn = (module: string) => [...tensors.keys()].some((name) => name.startsWith(`${module}.`));
  const architecture = architectures.find(({ modelType, module }) =>
    type === undefined ? module !== ANY_MODULE && isNamedIn(module) : modelType === type,
  );
  if (architecture !== undefined) return architecture;
  const reason = REFUSED.get(type);
  const problem = type === undefined ? 'is absent' : `${jsonText(type)} is not supported`;
  throw new MbertError('UNSUPPORTED', `${configPath}: model_type: ${problem}${reason ? `: ${reason}` : ''}`, {
    hint: `supported: ${architectures.map(({ modelType }) => modelType).join(', ')}${type === undefined || reason ? '' : OR_ONNX}`,
  });
}

/** Graphs do not need a builder: those of XLM, EuroBERT, Jina v3, ESM and T5's encoder convert (docs/formats.md). */
const OR_ONNX =
  '; the ONNX file of another encoder may convert: write one with torch.onnx or optimum-cli, and give it here';

/** Name of a module that says nothing of the family. */
const ANY_MODULE = 'model';

function findTask({ config, configPath }: Checkpoint, architecture: Architecture, weights: Weights): Task {
  const className = readArchitectureName(config);
  const task = className === undefined ? taskOfWeights(weights, architecture) : taskOfClass(className, architecture);
  if (task !== undefined) return task;
  const problem =
    className === undefined ? 'is absent, and the weights fit several tasks' : `${className} is not supported`;
  throw new MbertError('UNSUPPORTED', `${configPath}: architectures: ${problem}`, {
    hint: `say which model to build: --task ${TASKS.join('|')}`,
  });
}

function checkLength(sequenceLength: Dim, maxPositions: number, { config }: Checkpoint): void {
  if (typeof sequenceLength === 'string' || sequenceLength <= maxPositions) return;
  const rows = config.get('max_position_embeddings') ?? maxPositions;
  const limit = `max_position_embeddings ${maxPositions}`;
  const kept = `${maxPositions} tokens that max_position_embeddings ${jsonText(rows)} leaves room for`;
  throw new MbertError(
    'USAGE',
    `--sequence-length: ${sequenceLength} is more than the ${rows === maxPositions ? `model's ${limit}` : kept}`,
  );
}

/** What a model takes. */
interface ModelInputs extends Pick<BuildOptions, 'batch' | 'sequenceLength' | 'indexType'> {
  readonly takesTokenTypes: boolean;
  readonly mask: MaskStyle;
  /** Answers to a question, where the model chooses between them. */
  readonly choices: Dim | undefined;
  readonly warn: Builder['warn'];
}

function openBuilder(graph: Graph, weights: Weights, inputs: ModelInputs): Builder {
  const { batch, sequenceLength, indexType, takesTokenTypes, mask, choices, warn } = inputs;
  const lead = choices === undefined ? [batch] : [batch, choices];
  const input = (name: string) => {
    const node = graph.input(name, { dtype: indexType, shape: [...lead, sequenceLength] });
    return choices === undefined ? node : joinChoices(graph, node);
  };
  const rows = product(lead);
  const tokenIds = input('input_ids');
  const attended = input('attention_mask');
  return {
    graph,
    weights,
    rows,
    sequence: sequenceLength,
    tokenIds,
    indexType,
    tokenTypes: takesTokenTypes ? input('token_type_ids') : undefined,
    mask: attentionMask(graph, attended, rows, sequenceLength, mask),
    constants: new Map(),
    warn,
  };
}

/** Hint of a task that the file can be converted for: transformers would fill a missing head with random numbers. */
function headHint(weights: Weights, architecture: Architecture, task: Task): string {
  const fits = taskOfWeights(weights, architecture) ?? 'features';
  const other = fits === task ? 'features' : fits;
  const what = other === 'features' ? 'converts the encoder without a head' : 'is what the weights fit';
  return `--task ${other} ${what}`;
}
