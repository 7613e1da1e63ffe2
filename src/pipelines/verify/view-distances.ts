import { cosine } from '../../metrics/metrics.ts';
import type { Task } from '../../models/index.ts';
import type { Answer, Reading } from '../evaluate/answers.ts';
import { sigmoid, softmax } from '../evaluate/probabilities.ts';

/** Names what a distance between two answers is. */
export type DistanceMeasure =
  /** Σ |p - q| / 2 over the classes, of the probabilities p and q, 0 … 1; the mean of a sequence's answers. */
  | 'probability'
  /** |a - b| of a regression. */
  | 'difference'
  /** 1 - cosine of embeddings or features, 0 … 2. */
  | 'cosine';

interface Distance {
  readonly measure: DistanceMeasure;
  /** The distance between two answers to a sequence of `valid` tokens. */
  between(reference: Answer, actual: Answer, valid: number): number;
}

const COSINE: Distance = {
  measure: 'cosine',
  between: (reference, actual) => 1 - cosine(reference.values, actual.values),
};

const DIFFERENCE: Distance = {
  measure: 'difference',
  between: (reference, actual) => Math.abs((reference.values[0] as number) - (actual.values[0] as number)),
};

/** Distances of answers that are made of `count` distributions, one behind the other. */
function probability(countOf: (answer: Answer, valid: number) => number): Distance {
  return {
    measure: 'probability',
    between: (reference, actual, valid) => {
      const count = countOf(reference, valid);
      const width = Math.floor(reference.values.length / count);
      let sum = 0;
      for (let i = 0; i < count; i++) {
        const row = ({ values, areProbabilities }: Answer) => {
          const own = values.subarray(i * width, (i + 1) * width);
          return areProbabilities ? own : softmax(own);
        };
        sum += totalVariation(row(reference), row(actual));
      }
      return sum / count;
    },
  };
}

const ONE_CHOICE = probability(() => 1);
const CHOICE_PER_ROW = probability(({ choices }) => choices.length);

/** Numbers that are a decision each: the mean distance of their probabilities, which are the sigmoids of logits. */
const DECISIONS: Distance = {
  measure: 'probability',
  between: (reference, actual) => {
    const [p, q] = [reference, actual].map(({ values, areProbabilities }) =>
      areProbabilities ? values : values.map(sigmoid),
    ) as [Float32Array, Float32Array];
    return (2 * totalVariation(p, q)) / p.length;
  },
};

const DISTANCES: { readonly [T in Task]: Distance } = {
  'sequence-classification': ONE_CHOICE,
  'next-sentence': ONE_CHOICE,
  'multiple-choice': ONE_CHOICE,
  'token-classification': CHOICE_PER_ROW,
  'masked-lm': CHOICE_PER_ROW,
  // A distribution over the tokens for the start, one for the end.
  qa: probability(() => 2),
  pretraining: {
    measure: 'probability',
    // The words alone: the order of sentences has two scores behind theirs, which are no distribution of words.
    between: (reference, actual, valid) => CHOICE_PER_ROW.between(withoutOrder(reference), withoutOrder(actual), valid),
  },
  'replaced-tokens': DECISIONS,
  'sentence-embedding': COSINE,
  features: COSINE,
};

/** The distance that fits the answers of a task; `answer` is one of them. */
export function distanceOf({ task, logitsKind }: Pick<Reading, 'task' | 'logitsKind'>, answer: Answer): Distance {
  if (task === 'sequence-classification' && logitsKind === 'multi-label') return DECISIONS;
  const isNumber = answer.choices.length === 0 && answer.values.length === 1;
  if (isNumber && (task === undefined || task === 'sequence-classification')) return DIFFERENCE;
  if (task !== undefined) return DISTANCES[task];
  return answer.choices.length > 0 ? ONE_CHOICE : COSINE;
}

function withoutOrder({ values, choices }: Answer): Answer {
  return { values: values.subarray(0, values.length - 2), choices: choices.slice(0, -1) };
}

/** Half of Σ |p - q|. */
function totalVariation(p: ArrayLike<number>, q: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < p.length; i++) sum += Math.abs((p[i] as number) - (q[i] as number));
  return sum / 2;
}
