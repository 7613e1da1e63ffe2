import { MbertError } from '../errors.ts';
import type { ModuleChain, SavedModule } from '../formats/checkpoint.ts';
import { type JsonObject, jsonText } from '../formats/json.ts';
import type { Node } from '../ir/graph.ts';
import { add, type Builder, layerNorm, weight, widthOf } from './builder.ts';
import { type ConfigReader, readConfig } from './config.ts';
import { isPooling, POOLINGS, type PoolingMode, poolSplade } from './pooling.ts';
import { activateByTorch, TORCH_ACTIVATIONS, torchClass } from './torch-activations.ts';

/** Values that modules hand on, by what sentence-transformers calls them. */
interface Features {
  readonly token_embeddings: Node;
  readonly sentence_embedding: Node | undefined;
}

type FeatureName = keyof Features;

/** Parts that a chain of modules is built from. */
interface ChainInput {
  readonly builder: Builder;
  readonly maxPositions: number;
  /** The encoder's last hidden state, [rows, sequence, hidden]. */
  readonly hidden: Node;
  /** Adds the scores of all words for every token. */
  readonly predict: () => Node;
  readonly warn: (problem: string) => void;
}

interface ModuleInput extends ChainInput {
  readonly module: SavedModule;
  readonly config: ConfigReader;
  readonly features: Features;
}

/** Adds a module; gives what it changes. */
type ModuleBuilder = (input: ModuleInput) => Partial<Features>;

/** Modules by the last part of their classes' names. */
const MODULES: { readonly [name: string]: ModuleBuilder } = {
  Dense: dense,
  Dropout: () => ({}),
  LayerNorm: norm,
  MultiVectorMask: multiVectorMask,
  Normalize: (input) => changed(input, (x) => add(input.builder, input.module.path, 'normalize', [x], {})),
  Pooling: pooling,
  SpladePooling: splade,
};

/** Classes of the encoder's own module. */
const ENCODERS = ['Transformer', 'MLMTransformer'];

const WAY_OUT = '--task features converts the encoder alone';

/** What a chain of modules gives: one vector for each sequence, or one for each token. */
export type ChainKind = 'sentence' | 'tokens';

/** Tells what a chain gives; undefined where nothing comes behind the encoder, which is then any model. */
export function chainKind({ modules }: ModuleChain): ChainKind | undefined {
  const [, ...rest] = modules.map(({ type }) => className(type));
  if (rest.length === 0) return undefined;
  const isTokenLevel = rest.every((name) => ['Dense', 'Dropout', 'MultiVectorMask', 'Normalize'].includes(name ?? ''));
  return isTokenLevel ? 'tokens' : 'sentence';
}

/** Adds the modules behind an encoder and the graph's outputs. Throws UNSUPPORTED for a module that is not known. */
export function addModules(chain: ModuleChain, input: ChainInput): void {
  const { builder, hidden, warn } = input;
  refuseUnknown(chain);
  const isSplade = chain.modules.some(({ type }) => className(type) === 'SpladePooling');
  let features: Features = {
    token_embeddings: isSplade ? input.predict() : hidden,
    sentence_embedding: undefined,
  };
  for (const module of chain.modules.slice(1)) {
    const config = readConfig(module.config, module.configPath);
    const change = moduleBuilder(module)({ ...input, module, config, features });
    config.finish();
    features = { ...features, ...change };
  }
  warnOfPrompts(chain, warn);
  const { sentence_embedding: sentence, token_embeddings: tokens } = features;
  if (sentence === undefined) {
    builder.graph.output('token_embeddings', isColbert(chain) ? normalized(builder, tokens) : tokens);
    return;
  }
  // Words' scores are no features of tokens.
  if (!isSplade) builder.graph.output('last_hidden_state', hidden);
  builder.graph.output('sentence_embedding', truncated(chain, builder, sentence));
}

/** The class of a module without its package: those of sentence-transformers, and of PyLate, which follows it. */
function className(type: string): string | undefined {
  return /^(?:sentence_transformers|pylate)\.(?:\w+\.)*(\w+)$/.exec(type)?.[1];
}

function moduleBuilder({ type }: SavedModule): ModuleBuilder {
  return MODULES[className(type) as string] as ModuleBuilder;
}

function refuseUnknown({ path, modules: [encoder, ...rest] }: ModuleChain): void {
  const known = Object.keys(MODULES);
  for (const [module, names] of [[encoder, ENCODERS] as const, ...rest.map((each) => [each, known] as const)]) {
    const name = module && className(module.type);
    if (name !== undefined && names.includes(name)) continue;
    throw new MbertError('UNSUPPORTED', `${path}: ${module?.type}: is no module that mbert knows`, {
      hint: `known: ${[...ENCODERS, ...known].join(', ')}; ${WAY_OUT}`,
    });
  }
}

/** Computes one of the features anew: the one that the config names, else what pooling has made, else tokens. */
function changed({ config, module, features }: ModuleInput, change: (x: Node) => Node): Partial<Features> {
  const usual: FeatureName = features.sentence_embedding === undefined ? 'token_embeddings' : 'sentence_embedding';
  const name = nameOf('module_input_name', usual);
  const [x, output] = [features[name], nameOf('module_output_name', name)];
  if (x !== undefined) return { [output]: change(x) };
  throw new MbertError(
    'UNSUPPORTED',
    `${config.path}: module_input_name: ${module.type} reads ${name} before any pooling`,
  );

  function nameOf(key: string, fallback: FeatureName): FeatureName {
    const names = new Map((['token_embeddings', 'sentence_embedding'] as const).map((each) => [each, each]));
    return config.choice(key, names, fallback);
  }
}

/** Adds activation(W x + b), and x or a projection of it where there is a residual. */
function dense(input: ModuleInput): Partial<Features> {
  const { builder, module, config } = input;
  const { path } = module;
  const out = config.size('out_features', 0);
  const hasBias = config.flag('bias', true);
  const hasResidual = config.flag('use_residual', false);
  const activation = activationOf(module, config);
  return changed(input, (x) => {
    const linear = (name: string, isBiased: boolean) => {
      const bias = isBiased ? [weight(builder, `${name}.bias`, [out.value])] : [];
      const matrix = weight(builder, `${name}.weight`, [out.value, widthOf(x)]);
      return add(builder, name, 'linear', [x, matrix, ...bias]);
    };
    const y = activateByTorch(builder, within(path, 'activation'), linear(within(path, 'linear'), hasBias), activation);
    if (!hasResidual) return y;
    const side = out.value === widthOf(x) ? x : linear(within(path, 'residual'), false);
    return add(builder, within(path, 'sum'), 'add', [y, side]);
  });
}

/** Joins a module's folder and a part of it; a ColBERT checkpoint has its projection among the encoder's weights. */
function within(path: string, part: string): string {
  return path === '' ? part : `${path}.${part}`;
}

/** Name of torch's class for an activation; the module's own default is Tanh. */
function activationOf({ config: json }: SavedModule, config: ConfigReader): string {
  const path = json.get('activation_function') ?? 'torch.nn.modules.activation.Tanh';
  const name = typeof path === 'string' ? torchClass(path) : undefined;
  if (name !== undefined && TORCH_ACTIVATIONS.includes(name)) return name;
  config.refuse(
    'activation_function',
    `${jsonText(path)} is not supported; of torch.nn: ${TORCH_ACTIVATIONS.join(', ')}`,
  );
  return 'Identity';
}

/** Epsilon of torch's LayerNorm, for which the module has no key. */
const NORM_EPSILON = 1e-5;

function norm(input: ModuleInput): Partial<Features> {
  return changed(input, (x) => layerNorm(input.builder, `${input.module.path}.norm`, x, NORM_EPSILON));
}

/** Adds all poolings of a config side by side, [rows, width · their number]. */
function pooling({ builder, module, config, features, maxPositions, warn }: ModuleInput): Partial<Features> {
  const modes = poolingModes(module, config);
  if (!config.flag('include_prompt', true)) {
    warn(
      `${config.path}: include_prompt: tokens of a prompt count in the file's pooling, sentence-transformers leaves them out`,
    );
  }
  const input = { builder, name: module.path, tokens: features.token_embeddings, maxPositions };
  const pooled = modes.map((mode) => POOLINGS[mode](input));
  const [only, ...others] = pooled;
  if (only === undefined) return {};
  return { sentence_embedding: others.length === 0 ? only : add(builder, module.path, 'concat', pooled, { axis: -1 }) };
}

/** Poolings by the flags that configs had before there were names for them, in the order in which they are joined. */
const FLAGS: readonly (readonly [string, PoolingMode])[] = [
  ['pooling_mode_cls_token', 'cls'],
  ['pooling_mode_max_tokens', 'max'],
  ['pooling_mode_mean_tokens', 'mean'],
  ['pooling_mode_mean_sqrt_len_tokens', 'mean_sqrt_len_tokens'],
  ['pooling_mode_weightedmean_tokens', 'weightedmean'],
  ['pooling_mode_lasttoken', 'lasttoken'],
];

function poolingModes({ config: json }: SavedModule, config: ConfigReader): readonly PoolingMode[] {
  const said = json.get('pooling_mode');
  if (said === undefined) {
    const modes = FLAGS.filter(([key]) => config.flag(key, false)).map(([, mode]) => mode);
    return modes.length > 0 ? modes : ['mean'];
  }
  return (Array.isArray(said) ? said : [said]).flatMap((word): PoolingMode[] => {
    const mode = word === 'mean_sqrt_len' ? 'mean_sqrt_len_tokens' : word;
    if (typeof mode === 'string' && isPooling(mode)) return [mode];
    config.refuse('pooling_mode', `${jsonText(word)} is not supported; supported: ${Object.keys(POOLINGS).join(', ')}`);
    return [];
  });
}

const SPLADE_STRATEGIES = new Map([
  ['max', 'max'],
  ['sum', 'sum'],
] as const);

/** How often the logarithm is taken. */
const SPLADE_LOGS = new Map([
  ['relu', 1],
  ['log1p_relu', 2],
]);

function splade({ builder, module, config, features, maxPositions }: ModuleInput): Partial<Features> {
  const strategy = config.choice('pooling_strategy', SPLADE_STRATEGIES, 'max');
  const logs = config.choice('activation_function', SPLADE_LOGS, 'relu');
  const input = { builder, name: module.path, tokens: features.token_embeddings, maxPositions };
  return { sentence_embedding: poolSplade(input, { strategy, logs }) };
}

/** Tokens that do not count are told by their ids, which an app knows: their vectors stay in the output. */
function multiVectorMask({ module, warn }: ModuleInput): Partial<Features> {
  const words = module.config.get('skiplist_words');
  if (Array.isArray(words) && words.length > 0) {
    warn(
      `${module.configPath}: skiplist_words: ${words.length} tokens do not count in scores: leave their vectors out`,
    );
  }
  return {};
}

/** PyLate before version 4 normalizes without a module for it, and so does Stanford's ColBERT. */
function isColbert({ settings }: ModuleChain): boolean {
  return settings.get('model_type') === 'ColBERT';
}

function normalized(builder: Builder, tokens: Node): Node {
  return tokens.op === 'normalize' ? tokens : add(builder, 'token_embeddings', 'normalize', [tokens], {});
}

/** Cuts an embedding to what sentence-transformers' encode() leaves of it. */
function truncated({ settings, settingsPath }: ModuleChain, builder: Builder, embedding: Node): Node {
  const config = readConfig(settings, settingsPath);
  const width = config.size('truncate_dim', widthOf(embedding));
  config.finish();
  if (width.isDefault || width.value >= widthOf(embedding)) return embedding;
  return add(builder, 'truncated', 'slice', [embedding], { axis: -1, start: 0, end: width.value });
}

/** A prompt in front of texts is the app's to add: a graph sees tokens only. */
function warnOfPrompts({ settings, settingsPath }: ModuleChain, warn: (problem: string) => void): void {
  const name = settings.get('default_prompt_name');
  const prompts = settings.get('prompts');
  const prompt = typeof name === 'string' && prompts instanceof Map ? (prompts as JsonObject).get(name) : undefined;
  if (typeof prompt !== 'string' || prompt === '') return;
  warn(
    `${settingsPath}: default_prompt_name: sentence-transformers puts ${jsonText(prompt)} before every text: the app has to`,
  );
}

/** The chain that a checkpoint of Stanford's ColBERT stands for: a projection of each token, then its norm. */
export function colbertChain(path: string, width: number): ModuleChain {
  const type = 'sentence_transformers.base.modules';
  const none: JsonObject = new Map();
  const projection = new Map<string, boolean | number | string>([
    ['out_features', width],
    ['bias', false],
    ['activation_function', 'torch.nn.modules.linear.Identity'],
  ]);
  return {
    path,
    modules: [
      { type: `${type}.transformer.Transformer`, path: '', configPath: path, config: none },
      { type: `${type}.dense.Dense`, path: '', configPath: path, config: projection },
    ],
    settings: new Map([['model_type', 'ColBERT']]),
    settingsPath: path,
  };
}

/** Longest sequence that the folder's texts are cut to; undefined where it does not say. */
export function maxSequence({ modules: [encoder] }: ModuleChain): number | undefined {
  const length = encoder?.config.get('max_seq_length');
  return typeof length === 'number' && Number.isInteger(length) && length > 0 ? length : undefined;
}
