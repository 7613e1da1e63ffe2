import { MbertError } from '../errors.ts';
import type { Checkpoint, ModuleChain } from '../formats/checkpoint.ts';
import { jsonText } from '../formats/json.ts';
import { Graph } from '../ir/graph.ts';
import { type Dim, product } from '../ir/shape.ts';
import type { Architecture, Model } from './architecture.ts';
import { bert } from './bert.ts';
import { attentionMask, type Builder, joinChoices, type MaskStyle } from './builder.ts';
import { checkClaims } from './claims.ts';
import { readArchitectureName, readConfig, readLabels } from './config.ts';
import { distilbert } from './distilbert.ts';
import { heads, TASKS, type Task, taskOfAdapter, taskOfClass, taskOfWeights } from './heads.ts';
import { mobilebert } from './mobilebert.ts';
import { chainKind, colbertChain, maxSequence } from './modules.ts';
import { type NamedCheckpoint, underTorchNames } from './names/index.ts';
import { type LogitsKind, logitsKind, readScoreActivation } from './scores.ts';
import { openWeights, type Weights } from './weights.ts';

export type { Task } from './heads.ts';
export { TASKS } from './heads.ts';
export type { LogitsKind } from './scores.ts';

/** Families of models that mbert builds from weights. */
export const architectures: readonly Architecture[] = [mobilebert, bert, distilbert];

/** Facts that a checkpoint's config tells. */
interface ModelDescription {
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
  checkLength(options.sequenceLength, model.maxPositions);
  checkClaims(checkpoint, model.sizes(scope), model.counts(scope));
  const graph = new Graph(architecture.modelType);
  const choices = task === 'multiple-choice' ? (options.choices ?? 'choices') : undefined;
  const mask = options.mask === 'strict' ? 'added' : model.mask;
  const { takesTokenTypes } = architecture;
  const builder = openBuilder(graph, weights, { ...options, mask, choices, takesTokenTypes });
  const hidden = model.encode(builder, scope);
  const encoderProblems = weights.problemCount();
  const headWarnings: string[] = scores?.warning === undefined ? [] : [scores.warning];
  // Where only the encoder is asked for, its modules are no strays.
  if (!usesChain(task, chain)) for (const { path } of chain?.modules ?? []) if (path !== '') weights.skip(path);
  heads[task].build({
    builder,
    architecture,
    model,
    scope,
    hidden,
    labelCount: labels?.length,
    batch: options.batch,
    choices: choices ?? 1,
    chain,
    scoreActivation: scores?.activation,
    warn: (problem) => headWarnings.push(problem),
  });
  // Models with a head that does not pool were stored with the pooler by early versions of transformers.
  weights.skip(`${scope}pooler`);
  const onlyHeadFails = encoderProblems === 0 && task !== 'features';
  const { unused, warnings } = weights.finish(onlyHeadFails ? headHint(weights, architecture, task) : undefined);
  return {
    ...describe(read),
    graph,
    unused,
    warnings: [...checkpoint.notes, ...warnings, ...headWarnings],
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
  readonly scope: string;
}

function readModel(checkpoint: NamedCheckpoint, wanted: Task | undefined, weights: Weights): ReadModel {
  const { config, configPath, tensors, origin } = checkpoint;
  const architecture = findArchitecture(checkpoint);
  const reader = readConfig(config, configPath);
  const model = architecture.read(reader, origin);
  const chain = findChain(checkpoint, weights);
  const task =
    wanted ?? taskOfChain(chain) ?? taskOfAdapter(checkpoint.taskType) ?? findTask(checkpoint, architecture, weights);
  if (task === 'sentence-embedding') refuseWithoutChain(checkpoint, chain);
  const labels = task.endsWith('-classification') ? readLabels(config, reader) : undefined;
  reader.finish();
  const prefix = `${architecture.modelType}.`;
  const hasPrefix = [...tensors.keys()].some((name) => name.startsWith(prefix));
  const classes = labels?.length ?? weights.shapeOf('classifier.weight')?.[0];
  const isClassifier = task === 'sequence-classification';
  return {
    architecture,
    model,
    task,
    labels,
    logitsKind: isClassifier ? logitsKind(config, classes) : undefined,
    scores: isClassifier ? readScoreActivation(checkpoint, classes) : undefined,
    chain,
    scope: hasPrefix ? prefix : '',
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
  const architecture = architectures.find(({ modelType }) =>
    type === undefined ? [...tensors.keys()].some((name) => name.startsWith(`${modelType}.`)) : modelType === type,
  );
  if (architecture !== undefined) return architecture;
  const problem = type === undefined ? 'is absent' : `${jsonText(type)} is not supported`;
  throw new MbertError('UNSUPPORTED', `${configPath}: model_type: ${problem}`, {
    hint: `supported: ${architectures.map(({ modelType }) => modelType).join(', ')}`,
  });
}

function findTask({ config, configPath }: Checkpoint, { predictions }: Architecture, weights: Weights): Task {
  const className = readArchitectureName(config);
  const task = className === undefined ? taskOfWeights(weights, predictions) : taskOfClass(className);
  if (task !== undefined) return task;
  const problem =
    className === undefined ? 'is absent, and the weights fit several tasks' : `${className} is not supported`;
  throw new MbertError('UNSUPPORTED', `${configPath}: architectures: ${problem}`, {
    hint: `say which model to build: --task ${TASKS.join('|')}`,
  });
}

function checkLength(sequenceLength: Dim, maxPositions: number): void {
  if (typeof sequenceLength === 'string' || sequenceLength <= maxPositions) return;
  throw new MbertError(
    'USAGE',
    `--sequence-length: ${sequenceLength} is more than the model's max_position_embeddings ${maxPositions}`,
  );
}

/** What a model takes. */
interface ModelInputs extends Pick<BuildOptions, 'batch' | 'sequenceLength' | 'indexType'> {
  readonly takesTokenTypes: boolean;
  readonly mask: MaskStyle;
  /** Answers to a question, where the model chooses between them. */
  readonly choices: Dim | undefined;
}

function openBuilder(graph: Graph, weights: Weights, inputs: ModelInputs): Builder {
  const { batch, sequenceLength, indexType, takesTokenTypes, mask, choices } = inputs;
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
    tokenTypes: takesTokenTypes ? input('token_type_ids') : undefined,
    mask: attentionMask(graph, attended, rows, sequenceLength, mask),
    constants: new Map(),
  };
}

/** Hint of a task that the file can be converted for: transformers would fill a missing head with random numbers. */
function headHint(weights: Weights, { predictions }: Architecture, task: Task): string {
  const fits = taskOfWeights(weights, predictions) ?? 'features';
  const other = fits === task ? 'features' : fits;
  const what = other === 'features' ? 'converts the encoder without a head' : 'is what the weights fit';
  return `--task ${other} ${what}`;
}
