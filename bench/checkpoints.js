// What a full-size checkpoint of each architecture holds: its config, and the names and shapes of its weights.

/** @typedef {Map<string, number[]>} Shapes */
/** @typedef {{ readonly config: Readonly<Record<string, unknown>>, readonly shapes: Shapes }} Checkpoint */

/** Adds a linear's weight and, unless it has none, its bias. @type {(shapes: Shapes, name: string, outputs: number, inputs: number, hasBias?: boolean) => void} */
function dense(shapes, name, outputs, inputs, hasBias = true) {
  shapes.set(`${name}.weight`, [outputs, inputs]);
  if (hasBias) shapes.set(`${name}.bias`, [outputs]);
}

/** Adds a norm's weight and, unless it has none, its bias. @type {(shapes: Shapes, name: string, width: number, hasBias?: boolean) => void} */
function norm(shapes, name, width, hasBias = true) {
  shapes.set(`${name}.weight`, [width]);
  if (hasBias) shapes.set(`${name}.bias`, [width]);
}

const BASE = { hidden_size: 768, intermediate_size: 3072, num_attention_heads: 12, dtype: 'float32' };

/** Adds a layer as BERT has it; `attention` names its four linears. @type {(shapes: Shapes, layer: string, attention: readonly [string, string, string, string], attentionNorm: string, hidden?: number) => void} */
function bertLayer(shapes, layer, attention, attentionNorm, hidden = BASE.hidden_size) {
  const wide = 4 * hidden;
  for (const part of attention) dense(shapes, `${layer}.${part}`, hidden, hidden);
  norm(shapes, `${layer}.${attentionNorm}`, hidden);
  dense(shapes, `${layer}.intermediate.dense`, wide, hidden);
  dense(shapes, `${layer}.output.dense`, hidden, wide);
  norm(shapes, `${layer}.output.LayerNorm`, hidden);
}

/** @type {(names: { prefix: string, layers: number }, each: (layer: string, n: number) => void) => void} */
function eachLayer({ prefix, layers }, each) {
  for (let n = 0; n < layers; n++) each(`${prefix}.${n}`, n);
}

/** MobileBERT for question answering. @type {(layers?: number) => Checkpoint} */
function mobilebert(layers = 24) {
  const [hidden, intra, wide, embedding] = [512, 128, 512, 128];
  const config = {
    architectures: ['MobileBertForQuestionAnswering'],
    model_type: 'mobilebert',
    vocab_size: 30522,
    hidden_size: hidden,
    embedding_size: embedding,
    intra_bottleneck_size: intra,
    intermediate_size: wide,
    num_hidden_layers: layers,
    num_attention_heads: 4,
    num_feedforward_networks: 4,
    max_position_embeddings: 512,
    type_vocab_size: 2,
    hidden_act: 'relu',
    normalization_type: 'no_norm',
    layer_norm_eps: 1e-12,
    trigram_input: true,
    use_bottleneck: true,
    use_bottleneck_attention: false,
    key_query_shared_bottleneck: true,
    classifier_activation: false,
    torch_dtype: 'float32',
  };
  /** @type {Shapes} */
  const shapes = new Map();
  const embeddings = 'mobilebert.embeddings';
  shapes.set(`${embeddings}.word_embeddings.weight`, [config.vocab_size, embedding]);
  shapes.set(`${embeddings}.position_embeddings.weight`, [config.max_position_embeddings, hidden]);
  shapes.set(`${embeddings}.token_type_embeddings.weight`, [config.type_vocab_size, hidden]);
  dense(shapes, `${embeddings}.embedding_transformation`, hidden, 3 * embedding);
  norm(shapes, `${embeddings}.LayerNorm`, hidden);
  eachLayer({ prefix: 'mobilebert.encoder.layer', layers }, (layer) => {
    for (const part of ['input', 'attention']) {
      dense(shapes, `${layer}.bottleneck.${part}.dense`, intra, hidden);
      norm(shapes, `${layer}.bottleneck.${part}.LayerNorm`, intra);
    }
    dense(shapes, `${layer}.attention.self.query`, intra, intra);
    dense(shapes, `${layer}.attention.self.key`, intra, intra);
    dense(shapes, `${layer}.attention.self.value`, intra, hidden);
    dense(shapes, `${layer}.attention.output.dense`, intra, intra);
    norm(shapes, `${layer}.attention.output.LayerNorm`, intra);
    const networks = [...Array(config.num_feedforward_networks - 1).keys()].map((k) => `${layer}.ffn.${k}`);
    for (const network of [...networks, layer]) {
      dense(shapes, `${network}.intermediate.dense`, wide, intra);
      dense(shapes, `${network}.output.dense`, intra, wide);
      norm(shapes, `${network}.output.LayerNorm`, intra);
    }
    dense(shapes, `${layer}.output.bottleneck.dense`, hidden, intra);
    norm(shapes, `${layer}.output.bottleneck.LayerNorm`, hidden);
  });
  dense(shapes, 'qa_outputs', 2, hidden);
  return { config, shapes };
}

/**
 * Makers of BERT for sequence classification in one of its sizes.
 * @param {{ hidden: number, layers: number }} size @returns {(layers?: number) => Checkpoint}
 */
function bertOf(size) {
  return (layers = size.layers) => {
    const { hidden } = size;
    const config = {
      architectures: ['BertForSequenceClassification'],
      model_type: 'bert',
      vocab_size: 30522,
      hidden_size: hidden,
      intermediate_size: 4 * hidden,
      num_attention_heads: hidden / 64,
      num_hidden_layers: layers,
      max_position_embeddings: 512,
      type_vocab_size: 2,
      hidden_act: 'gelu',
      layer_norm_eps: 1e-12,
      pad_token_id: 0,
      dtype: 'float32',
    };
    /** @type {Shapes} */
    const shapes = new Map();
    shapes.set('bert.embeddings.word_embeddings.weight', [config.vocab_size, hidden]);
    shapes.set('bert.embeddings.position_embeddings.weight', [config.max_position_embeddings, hidden]);
    shapes.set('bert.embeddings.token_type_embeddings.weight', [config.type_vocab_size, hidden]);
    norm(shapes, 'bert.embeddings.LayerNorm', hidden);
    const self = 'attention.self';
    eachLayer({ prefix: 'bert.encoder.layer', layers }, (layer) => {
      const parts = /** @type {const} */ ([`${self}.query`, `${self}.key`, `${self}.value`, 'attention.output.dense']);
      bertLayer(shapes, layer, parts, 'attention.output.LayerNorm', hidden);
    });
    dense(shapes, 'bert.pooler.dense', hidden, hidden);
    dense(shapes, 'classifier', 2, hidden);
    return { config, shapes };
  };
}

/** RoBERTa for sequence classification. @type {(layers?: number) => Checkpoint} */
function robertaBase(layers = 12) {
  const config = {
    ...BASE,
    architectures: ['RobertaForSequenceClassification'],
    model_type: 'roberta',
    vocab_size: 50265,
    num_hidden_layers: layers,
    max_position_embeddings: 514,
    type_vocab_size: 1,
    layer_norm_eps: 1e-5,
    pad_token_id: 1,
    bos_token_id: 0,
    eos_token_id: 2,
  };
  const { hidden_size: hidden } = config;
  /** @type {Shapes} */
  const shapes = new Map();
  shapes.set('roberta.embeddings.word_embeddings.weight', [config.vocab_size, hidden]);
  shapes.set('roberta.embeddings.position_embeddings.weight', [config.max_position_embeddings, hidden]);
  shapes.set('roberta.embeddings.token_type_embeddings.weight', [1, hidden]);
  norm(shapes, 'roberta.embeddings.LayerNorm', hidden);
  const self = 'attention.self';
  eachLayer({ prefix: 'roberta.encoder.layer', layers }, (layer) => {
    const parts = /** @type {const} */ ([`${self}.query`, `${self}.key`, `${self}.value`, 'attention.output.dense']);
    bertLayer(shapes, layer, parts, 'attention.output.LayerNorm');
  });
  dense(shapes, 'classifier.dense', hidden, hidden);
  dense(shapes, 'classifier.out_proj', 2, hidden);
  return { config, shapes };
}

/** MPNet for sequence classification. @type {(layers?: number) => Checkpoint} */
function mpnetBase(layers = 12) {
  const config = {
    ...BASE,
    architectures: ['MPNetForSequenceClassification'],
    model_type: 'mpnet',
    vocab_size: 30527,
    num_hidden_layers: layers,
    max_position_embeddings: 514,
    relative_attention_num_buckets: 32,
    layer_norm_eps: 1e-5,
    pad_token_id: 1,
    bos_token_id: 0,
    eos_token_id: 2,
  };
  const { hidden_size: hidden } = config;
  /** @type {Shapes} */
  const shapes = new Map();
  shapes.set('mpnet.embeddings.word_embeddings.weight', [config.vocab_size, hidden]);
  shapes.set('mpnet.embeddings.position_embeddings.weight', [config.max_position_embeddings, hidden]);
  norm(shapes, 'mpnet.embeddings.LayerNorm', hidden);
  const attn = 'attention.attn';
  eachLayer({ prefix: 'mpnet.encoder.layer', layers }, (layer) => {
    bertLayer(shapes, layer, [`${attn}.q`, `${attn}.k`, `${attn}.v`, `${attn}.o`], 'attention.LayerNorm');
  });
  const { relative_attention_num_buckets: buckets, num_attention_heads: heads } = config;
  shapes.set('mpnet.encoder.relative_attention_bias.weight', [buckets, heads]);
  dense(shapes, 'classifier.dense', hidden, hidden);
  dense(shapes, 'classifier.out_proj', 2, hidden);
  return { config, shapes };
}

/** DeBERTa-v3 for sequence classification. @type {(layers?: number) => Checkpoint} */
function debertaV3Small(layers = 6) {
  const config = {
    ...BASE,
    architectures: ['DebertaV2ForSequenceClassification'],
    model_type: 'deberta-v2',
    vocab_size: 128100,
    num_hidden_layers: layers,
    max_position_embeddings: 512,
    type_vocab_size: 0,
    layer_norm_eps: 1e-7,
    relative_attention: true,
    max_relative_positions: -1,
    position_buckets: 256,
    norm_rel_ebd: 'layer_norm',
    share_att_key: true,
    pos_att_type: 'p2c|c2p',
    position_biased_input: false,
    pooler_dropout: 0,
    pooler_hidden_act: 'gelu',
    pooler_hidden_size: 768,
    pad_token_id: 0,
  };
  const { hidden_size: hidden } = config;
  /** @type {Shapes} */
  const shapes = new Map();
  shapes.set('deberta.embeddings.word_embeddings.weight', [config.vocab_size, hidden]);
  norm(shapes, 'deberta.embeddings.LayerNorm', hidden);
  const self = 'attention.self';
  eachLayer({ prefix: 'deberta.encoder.layer', layers }, (layer) => {
    const linears = [`${self}.query_proj`, `${self}.key_proj`, `${self}.value_proj`, 'attention.output.dense'];
    const parts = /** @type {[string, string, string, string]} */ (linears);
    bertLayer(shapes, layer, parts, 'attention.output.LayerNorm');
  });
  shapes.set('deberta.encoder.rel_embeddings.weight', [2 * config.position_buckets, hidden]);
  norm(shapes, 'deberta.encoder.LayerNorm', hidden);
  dense(shapes, 'pooler.dense', hidden, hidden);
  dense(shapes, 'classifier', 2, hidden);
  return { config, shapes };
}

/** ModernBERT for sequence classification. @type {(layers?: number) => Checkpoint} */
function modernbertBase(layers = 22) {
  const config = {
    ...BASE,
    architectures: ['ModernBertForSequenceClassification'],
    model_type: 'modernbert',
    vocab_size: 50368,
    intermediate_size: 1152,
    num_hidden_layers: layers,
    max_position_embeddings: 8192,
    global_attn_every_n_layers: 3,
    global_rope_theta: 160000,
    local_attention: 128,
    local_rope_theta: 10000,
    norm_eps: 1e-5,
    classifier_pooling: 'mean',
    pad_token_id: 50283,
    bos_token_id: 50281,
    eos_token_id: 50282,
    cls_token_id: 50281,
    sep_token_id: 50282,
  };
  const { hidden_size: hidden, intermediate_size: wide } = config;
  /** @type {Shapes} */
  const shapes = new Map();
  shapes.set('model.embeddings.tok_embeddings.weight', [config.vocab_size, hidden]);
  norm(shapes, 'model.embeddings.norm', hidden, false);
  eachLayer({ prefix: 'model.layers', layers }, (layer, n) => {
    if (n > 0) norm(shapes, `${layer}.attn_norm`, hidden, false);
    dense(shapes, `${layer}.attn.Wqkv`, 3 * hidden, hidden, false);
    dense(shapes, `${layer}.attn.Wo`, hidden, hidden, false);
    norm(shapes, `${layer}.mlp_norm`, hidden, false);
    dense(shapes, `${layer}.mlp.Wi`, 2 * wide, hidden, false);
    dense(shapes, `${layer}.mlp.Wo`, hidden, wide, false);
  });
  norm(shapes, 'model.final_norm', hidden, false);
  dense(shapes, 'head.dense', hidden, hidden, false);
  norm(shapes, 'head.norm', hidden, false);
  dense(shapes, 'classifier', 2, hidden);
  return { config, shapes };
}

/** Makers by the model's name, each with a number of layers of its own. @type {Readonly<Record<string, (layers?: number) => Checkpoint>>} */
export const CHECKPOINTS = {
  mobilebert,
  'bert-base': bertOf({ hidden: 768, layers: 12 }),
  'bert-large': bertOf({ hidden: 1024, layers: 24 }),
  'bert-huge': bertOf({ hidden: 1280, layers: 36 }),
  'roberta-base': robertaBase,
  'mpnet-base': mpnetBase,
  'deberta-v3-small': debertaV3Small,
  'modernbert-base': modernbertBase,
};
