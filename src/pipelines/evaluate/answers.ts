import { joinF32, readF32, type Tensor } from '../../ir/tensor.ts';
import { argmaxRows } from '../../metrics/metrics.ts';
import { pearson } from '../../metrics/task-metrics.ts';
import type { LogitsKind, Task } from '../../models/index.ts';
import type { TokenRow } from '../../samples/feeds.ts';
import type { AgreementOf } from './agreement.ts';
import { decisions } from './decisions.ts';
import { PROBABILITY } from './probabilities.ts';

/** A model's answer to one sequence. */
export interface Answer {
  /** The outputs of valid tokens, padding and further rows of a batch left out. */
  readonly values: Float32Array;
  /** The values as choices: a class, a span, a class for each token. Empty where a model gives features or one number. */
  readonly choices: readonly number[];
  /** True where the values are probabilities already, as --softmax makes them, and no logits. */
  readonly areProbabilities?: boolean;
}

type Outputs = ReadonlyMap<string, Tensor>;

/** Reads the answer from the outputs of a task. `masks` are the positions of [MASK]. */
type Reader = (outputs: Outputs, valid: number, masks: readonly number[]) => Answer;

const READERS: { readonly [T in Task]: Reader } = {
  'sequence-classification': (outputs) => choiceOrNumber(first(outputs)),
  'next-sentence': (outputs) => oneChoice(first(outputs)),
  'multiple-choice': (outputs) => oneChoice(first(outputs)),
  'token-classification': (outputs, valid) => choicePerRow(tokens(first(outputs), 0, valid), width(first(outputs))),
  qa(outputs, valid) {
    const start = tokens(outputs.get('start_logits') as Tensor, 0, valid);
    const end = tokens(outputs.get('end_logits') as Tensor, 0, valid);
    const choices = [start, end].flatMap((logits) => Array.from(argmaxRows(logits, valid)));
    return { values: joinF32([start, end]), choices: [(choices[0] as number) * valid + (choices[1] as number)] };
  },
  'masked-lm': (outputs, valid, masks) => atMasks(first(outputs), valid, masks),
  pretraining(outputs, valid, masks) {
    const words = atMasks(outputs.get('prediction_logits') as Tensor, valid, masks);
    const order = oneChoice(outputs.get('seq_relationship_logits') ?? (outputs.get('sop_logits') as Tensor));
    return { values: joinF32([words.values, order.values]), choices: [...words.choices, ...order.choices] };
  },
  'replaced-tokens'(outputs, valid) {
    const values = tokens(first(outputs), 0, valid);
    return { values, choices: decisions(values) };
  },
  'sentence-embedding'(outputs) {
    const embedding = outputs.get('sentence_embedding') ?? first(outputs);
    return { values: readF32(embedding).slice(0, width(embedding)), choices: [] };
  },
  features: (outputs, valid) => ({ values: tokens(first(outputs), 0, valid), choices: [] }),
};

/** A model's task and kind of logits, which say how an answer is read from its outputs. */
export interface Reading {
  readonly task: Task | undefined;
  readonly logitsKind?: LogitsKind | undefined;
  /** Token id of [MASK]; undefined where the vocabulary has none. */
  readonly mask: number | undefined;
  /** Value above which a label applies, see `thresholdOf`. Default 0. */
  readonly threshold?: number | undefined;
  /** Whether the model makes probabilities of its logits itself, see `givesProbabilities`. Default false. */
  readonly areProbabilities?: boolean | undefined;
}

/** A model's answer to a sequence whose padding, if any, is at the end. */
export function answerOf(reading: Reading, outputs: Outputs, row: TokenRow): Answer {
  if (!outputs.has(PROBABILITY)) {
    const answer = readAnswer(reading, outputs, row);
    return reading.areProbabilities ? { ...answer, areProbabilities: true } : answer;
  }
  return { ...readAnswer({ ...reading, threshold: 0.5 }, outputs, row), areProbabilities: true };
}

function readAnswer({ task, logitsKind, mask, threshold }: Reading, outputs: Outputs, row: TokenRow): Answer {
  if (logitsKind === 'multi-label' && task === 'sequence-classification') {
    return decisionPerLabel(first(outputs), threshold);
  }
  const valid = row.inputIds.length;
  const masks = row.inputIds.flatMap((id, i) => (id === mask ? [i] : []));
  if (task !== undefined) return READERS[task](outputs, valid, masks);
  // A graph that does not say what it is for: two axes are one choice, three are features of tokens.
  const output = first(outputs);
  return output.shape.length === 2 ? choiceOrNumber(output) : READERS.features(outputs, valid, masks);
}

function first(outputs: Outputs): Tensor {
  return outputs.values().next().value as Tensor;
}

function width(tensor: Tensor): number {
  return tensor.shape.at(-1) as number;
}

/** The answer in the first row of [batch, labels], each of which applies or not. */
function decisionPerLabel(scores: Tensor, threshold: number | undefined): Answer {
  const values = readF32(scores).slice(0, width(scores));
  return { values, choices: decisions(values, threshold) };
}

/** The answer in the first row of [batch, classes]; one number is no choice, as the greatest of one is always the first. */
function choiceOrNumber(logits: Tensor): Answer {
  return width(logits) === 1 ? { values: readF32(logits).slice(0, 1), choices: [] } : oneChoice(logits);
}

/** The answer in the first row of [batch, classes]. */
function oneChoice(logits: Tensor): Answer {
  return choicePerRow(readF32(logits).slice(0, width(logits)), width(logits));
}

function choicePerRow(values: Float32Array, classes: number): Answer {
  return { values, choices: Array.from(argmaxRows(values, classes)) };
}

/** The values of some tokens of the first sequence in [batch, sequence, ...]. */
function tokens(tensor: Tensor, from: number, to: number): Float32Array {
  const size = tensor.shape.slice(2).reduce((product, dim) => product * dim, 1);
  return readF32(tensor).slice(from * size, to * size);
}

/** The answer at the positions of [MASK], scores of all words; at the first token where there is no [MASK]. */
function atMasks(scores: Tensor, valid: number, masks: readonly number[]): Answer {
  const places = masks.filter((place) => place < valid);
  const values = joinF32((places.length > 0 ? places : [0]).map((place) => tokens(scores, place, place + 1)));
  return choicePerRow(values, width(scores));
}

/** Compares two models' answers to the same sequences, as they arrive. */
export class Comparison {
  rows = 0;
  #signal = 0;
  #noise = 0;
  #choices = 0;
  #equal = 0;
  #cosines = 0;
  /** Answers of regressions, one number for each text. */
  readonly #numbers = { reference: [] as number[], actual: [] as number[] };

  add(reference: Answer, actual: Answer): void {
    let signal = 0;
    let noise = 0;
    let product = 0;
    let power = 0;
    for (let i = 0; i < reference.values.length; i++) {
      const value = reference.values[i] as number;
      const actualValue = actual.values[i] as number;
      signal += value * value;
      power += actualValue * actualValue;
      product += value * actualValue;
      noise += (value - actualValue) * (value - actualValue);
    }
    this.rows++;
    this.#signal += signal;
    this.#noise += noise;
    this.#cosines += product / Math.sqrt(signal * power);
    if (reference.values.length === 1 && reference.choices.length === 0) {
      this.#numbers.reference.push(reference.values[0] as number);
      this.#numbers.actual.push(actual.values[0] as number);
    }
    reference.choices.forEach((choice, i) => {
      this.#choices++;
      if (choice >= 0 && choice === actual.choices[i]) this.#equal++;
    });
  }

  /** Noise as a share of the signal: Σ error² / Σ reference². */
  get noiseRatio(): number {
    return this.#noise / this.#signal;
  }

  /** Signal to quantization noise in dB: 10·log10(Σ reference² / Σ error²). */
  get sqnrDb(): number {
    return -10 * Math.log10(this.noiseRatio);
  }

  /**
   * The share of equal choices, 0 … 1; for features the mean cosine, for a regression Pearson's correlation: it agrees as
   * far as its answers rise and fall together.
   */
  get agreement(): number {
    const { reference, actual } = this.#numbers;
    // Equal answers agree, also where they do not vary and correlate with nothing.
    if (this.agreementOf === 'correlation') return this.#noise === 0 ? 1 : pearson(reference, actual);
    return this.agreementOf === 'choices' ? this.#equal / this.#choices : this.#cosines / this.rows;
  }

  /** The measure that `agreement` is in, as the answers that came need it. */
  get agreementOf(): AgreementOf {
    if (this.#numbers.reference.length === this.rows) return 'correlation';
    return this.#choices > 0 ? 'choices' : 'cosine';
  }
}
