import { MbertError } from '../../../errors.ts';
import { type JsonObject, type JsonValue, jsonText } from '../../../formats/json.ts';
import { sizeIn, type TeacherShape } from '../sizes.ts';

/** Sizes of a MobileBERT. */
export interface MobileBertSizes {
  readonly layers: number;
  readonly hidden: number;
  /** Columns of the word table. */
  readonly embedding: number;
  /** Channels inside of a layer. */
  readonly bottleneck: number;
  readonly heads: number;
  /** Neurons of each feed-forward network. */
  readonly intermediate: number;
  /** Feed-forward networks of a layer, one behind the other. */
  readonly feedForwards: number;
  /** Whether queries, keys and values read the bottleneck in place of the stream. */
  readonly attentionInBottleneck: boolean;
}

/** Sizes of mobilebert-uncased and of MobileBERT-tiny (Sun et al. 2020, table 1 and section 4.4.1). */
const SIZES: MobileBertSizes = {
  layers: 24,
  hidden: 512,
  embedding: 128,
  bottleneck: 128,
  heads: 4,
  intermediate: 512,
  feedForwards: 4,
  attentionInBottleneck: false,
};

/** Presets by name; what a teacher has less of, its student has as much of as the teacher. */
export const MOBILEBERT_PRESETS: ReadonlyMap<string, MobileBertSizes> = new Map([
  ['mobilebert', SIZES],
  ['mobilebert-tiny', { ...SIZES, feedForwards: 2, attentionInBottleneck: true }],
]);

const KEYS: { readonly [S in Exclude<keyof MobileBertSizes, 'attentionInBottleneck'>]: string } = {
  layers: 'num_hidden_layers',
  hidden: 'hidden_size',
  embedding: 'embedding_size',
  bottleneck: 'intra_bottleneck_size',
  heads: 'num_attention_heads',
  intermediate: 'intermediate_size',
  feedForwards: 'num_feedforward_networks',
};

/** What a student is built with, whatever its sizes: the settings that fold away and run fast. */
const FIXED: readonly (readonly [key: string, value: JsonValue])[] = [
  ['normalization_type', 'no_norm'],
  ['hidden_act', 'relu'],
  ['trigram_input', true],
  ['use_bottleneck', true],
];

/** The part of the bottleneck that holds the state which networks read; the rest takes the update. */
const STATE_SHARE = { own: 1 / 2, shared: 3 / 4 } as const;

/** Channels of the bottleneck that are the state. Where attention reads it as well it has more to hold. */
export function stateWidth({ bottleneck, attentionInBottleneck }: MobileBertSizes): number {
  return Math.ceil(bottleneck * (attentionInBottleneck ? STATE_SHARE.shared : STATE_SHARE.own));
}

/** True for a shape that says MobileBERT: by its family, or by what only that has. */
export function isMobileBertShape(json: JsonObject): boolean {
  return json.get('model_type') === 'mobilebert' || json.has('intra_bottleneck_size');
}

/** The sizes of a preset for a teacher: no larger than its own. */
export function fittingSizes(preset: MobileBertSizes, teacher: TeacherShape): MobileBertSizes {
  const hidden = Math.min(preset.hidden, teacher.hidden);
  const bottleneck = Math.min(preset.bottleneck, hidden);
  const heads = Math.min(preset.heads, teacher.heads);
  return {
    ...preset,
    hidden,
    bottleneck,
    heads,
    layers: Math.min(preset.layers, teacher.layers),
    embedding: Math.min(preset.embedding, hidden),
    intermediate: Math.min(preset.intermediate, Math.floor(teacher.intermediate / preset.feedForwards)),
  };
}

/** Says whether queries and keys read a bottleneck of their own, where attention does not read that of the layer. */
const SHARED = 'key_query_shared_bottleneck';

/** Keys of a JSON file that are read. */
export const MOBILEBERT_KEYS: readonly string[] = [
  ...Object.values(KEYS),
  ...FIXED.map(([key]) => key),
  'model_type',
  'use_bottleneck_attention',
  SHARED,
];

/** What a JSON file says under a key; undefined where it says nothing. Throws MALFORMED for anything but true and false. */
function flagIn(json: JsonObject, key: string, path: string): boolean | undefined {
  const value = json.get(key);
  if (value === undefined || typeof value === 'boolean') return value;
  throw new MbertError('MALFORMED', `${path}: ${key}: is ${jsonText(value)}, not true or false`);
}

/** Reads the sizes in a JSON file; what it leaves out is mobilebert-uncased's, or the teacher's where that is smaller. */
export function readMobileBertShape(json: JsonObject, path: string, teacher: TeacherShape): MobileBertSizes {
  for (const [key, value] of FIXED) {
    const found = json.get(key);
    if (found === undefined || found === value) continue;
    throw new MbertError('UNSUPPORTED', `${path}: ${key}: is ${jsonText(found)}, students have ${jsonText(value)}`, {
      hint: 'leave the key out',
    });
  }
  const isTiny = flagIn(json, 'use_bottleneck_attention', path) ?? false;
  if (!isTiny && flagIn(json, SHARED, path) === false) {
    throw new MbertError('UNSUPPORTED', `${path}: ${SHARED}: is false, students share what queries and keys read`, {
      hint: 'leave the key out, or say use_bottleneck_attention',
    });
  }
  const defaults = fittingSizes(
    { ...SIZES, feedForwards: sizeIn(json, KEYS.feedForwards, path) ?? SIZES.feedForwards },
    teacher,
  );
  const read = (part: keyof typeof KEYS) => sizeIn(json, KEYS[part], path) ?? defaults[part];
  const hidden = read('hidden');
  return {
    layers: read('layers'),
    hidden,
    embedding: sizeIn(json, KEYS.embedding, path) ?? Math.min(defaults.embedding, hidden),
    bottleneck: read('bottleneck'),
    heads: read('heads'),
    intermediate: read('intermediate'),
    feedForwards: read('feedForwards'),
    attentionInBottleneck: isTiny,
  };
}

/** Throws MISMATCH for sizes that cannot be taken from the teacher or do not go together. */
export function checkSizes(text: string, sizes: MobileBertSizes, teacher: TeacherShape): void {
  const { layers, hidden, embedding, bottleneck, heads, intermediate, feedForwards } = sizes;
  const neurons = intermediate * feedForwards;
  const size = bottleneck / heads;
  const own = teacher.hidden / teacher.heads;
  const limits: readonly (readonly [is: boolean, problem: string, hint: string])[] = [
    [layers > teacher.layers, `${KEYS.layers} ${layers}: the teacher has ${teacher.layers}`, SMALLER],
    [hidden > teacher.hidden, `${KEYS.hidden} ${hidden}: the teacher has ${teacher.hidden}`, SMALLER],
    [heads > teacher.heads, `${KEYS.heads} ${heads}: the teacher has ${teacher.heads}`, SMALLER],
    [
      neurons > teacher.intermediate,
      `${feedForwards} networks of ${intermediate} neurons: the teacher has ${teacher.intermediate} in a layer`,
      `${KEYS.intermediate} ${Math.floor(teacher.intermediate / feedForwards)} is the most`,
    ],
    [
      intermediate < 1,
      `${feedForwards} networks: the teacher has ${teacher.intermediate} neurons in a layer`,
      `${KEYS.feedForwards} ${teacher.intermediate} is the most`,
    ],
    [embedding > hidden, `${KEYS.embedding} ${embedding}: is more than ${KEYS.hidden} ${hidden}`, SMALLER],
    [bottleneck > hidden, `${KEYS.bottleneck} ${bottleneck}: is more than ${KEYS.hidden} ${hidden}`, SMALLER],
    [bottleneck < 2, `${KEYS.bottleneck} ${bottleneck}: has no room for two channels`, SMALLER],
    [
      !Number.isInteger(size) || size > own,
      `${KEYS.heads} ${heads}: heads of ${bottleneck} channels have ${size} each, the teacher's ${own}`,
      `${KEYS.bottleneck} is to be ${KEYS.heads} times a size of up to ${own}`,
    ],
  ];
  for (const [is, problem, hint] of limits) {
    if (is) throw new MbertError('MISMATCH', `--shape ${text}: ${problem}`, { hint });
  }
}

const SMALLER = 'a student is cut out of its teacher, so that it is not larger in anything';

/** The config of a student: sizes and settings, with what the teacher's says of tokens, labels and training. */
export function mobileBertConfig(teacher: JsonObject, sizes: MobileBertSizes, hasPooler: boolean): JsonObject {
  const config = new Map<string, JsonValue>();
  for (const key of KEPT) {
    const value = teacher.get(key);
    if (value !== undefined) config.set(key, value);
  }
  const architectures = teacher.get('architectures');
  if (Array.isArray(architectures)) {
    config.set(
      'architectures',
      architectures.map((name) => (typeof name === 'string' ? name.replace(/^Bert/, 'MobileBert') : name)),
    );
  }
  config.set('model_type', 'mobilebert');
  for (const [part, key] of Object.entries(KEYS)) config.set(key, sizes[part as keyof typeof KEYS]);
  for (const [key, value] of FIXED) config.set(key, value);
  config.set('use_bottleneck_attention', sizes.attentionInBottleneck);
  config.set(SHARED, !sizes.attentionInBottleneck);
  config.set('classifier_activation', hasPooler);
  config.set('dtype', 'float32');
  return config;
}

/** Entries of a BERT's config that mean the same in a MobileBERT's. */
const KEPT = [
  'attention_probs_dropout_prob',
  'classifier_dropout',
  'hidden_dropout_prob',
  'id2label',
  'initializer_range',
  'label2id',
  'layer_norm_eps',
  'max_position_embeddings',
  'num_labels',
  'pad_token_id',
  'problem_type',
  'tie_word_embeddings',
  'type_vocab_size',
  'vocab_size',
] as const;
