import { MbertError } from '../../../errors.ts';
import type { Checkpoint } from '../../../formats/checkpoint.ts';
import type { Graph, Node } from '../../../ir/graph.ts';
import { nodesByName } from '../../../ir/nodes-by-name.ts';
import { sizeOf } from '../../../ir/shape.ts';
import { computedTensor, type Tensor, takeF32, tensorOf } from '../../../ir/tensor.ts';
import type { BatchValues, TextRuns } from '../../../ir/text-runs.ts';
import type { Task } from '../../../models/index.ts';
import { fromCheckpoint } from '../../../opened/checkpoint-model.ts';
import { axesOf } from '../axes.ts';
import { cutTensor, type Selection } from '../cut-checkpoint.ts';
import type { FittedLayer } from './fit-layer.ts';
import { type MobileBertSizes, mobileBertConfig } from './shape.ts';

/** What a student is made of. */
export interface StudentOptions {
  readonly sizes: MobileBertSizes;
  readonly selection: Selection;
  /** Weights of the teacher that nothing reads. */
  readonly unused: readonly string[];
  readonly task: Task | undefined;
  readonly runs: TextRuns;
}

/** Weights of a student that grows layer by layer. */
export class Student {
  /** What the names of the encoder's weights begin with. */
  readonly prefix: string;
  readonly embeddingsEnd: string;
  readonly #teacher: Checkpoint;
  readonly #task: Task | undefined;
  readonly #runs: TextRuns;
  readonly #tensors = new Map<string, Tensor>();
  readonly #config: Checkpoint['config'];

  constructor(teacher: Checkpoint, { sizes, selection, unused, task, runs }: StudentOptions) {
    const prefix = teacher.tensors.has('bert.embeddings.word_embeddings.weight') ? 'bert.' : '';
    this.prefix = prefix === '' ? '' : 'mobilebert.';
    this.embeddingsEnd = `${this.prefix}embeddings.LayerNorm`;
    this.#teacher = teacher;
    this.#task = task;
    this.#runs = runs;
    let hasPooler = false;
    for (const [name, shape] of weightShapes(sizes, this.prefix)) this.#tensors.set(name, blank(name, shape));
    for (const [name, tensor] of teacher.tensors) {
      if (unused.includes(name) || /(^|\.)(embeddings|encoder)\./.test(name)) continue;
      const axes = axesOf(name);
      if (axes === undefined || /^cls\.predictions/.test(name)) {
        throw new MbertError('UNSUPPORTED', `${teacher.path}: ${name}: a MobileBERT has no such weight`, {
          hint: 'its masked-LM head is tied to another table; --task features leaves the head out',
        });
      }
      hasPooler ||= /pooler\.dense/.test(name);
      const own = name.startsWith(prefix) && prefix !== '' ? `${this.prefix}${name.slice(prefix.length)}` : name;
      this.#tensors.set(own, cutTensor(tensor, axes, selection, undefined));
    }
    this.#config = mobileBertConfig(teacher.config, sizes, hasPooler);
  }

  layerName(n: number, part: string): string {
    return `${this.prefix}encoder.layer.${n}.${part}`;
  }

  layerEnd(n: number): string {
    return n < 0 ? this.embeddingsEnd : this.layerName(n, 'output.bottleneck.LayerNorm');
  }

  checkpoint(): Checkpoint {
    return { ...this.#teacher, tensors: this.#tensors, config: this.#config };
  }

  graph(): Graph {
    return fromCheckpoint(this.checkpoint(), { task: this.#task }).reference();
  }

  set(name: string, tensor: Tensor): void {
    this.#tensors.set(name, tensor);
  }

  setLayer(n: number, fitted: FittedLayer): void {
    for (const [part, { weight, bias }] of fitted) {
      for (const [kind, values] of Object.entries({ weight, bias })) {
        const name = this.layerName(n, `${part}.${kind}`);
        const { shape } = this.#tensors.get(name) as Tensor;
        this.#tensors.set(name, tensorOf('f32', shape, Float32Array.from(values)));
      }
    }
  }

  /** Adds to a weight; nothing where there is no change. */
  add(name: string, change: Float64Array | undefined): void {
    if (change === undefined) return;
    const tensor = this.#tensors.get(name) as Tensor;
    const values = takeF32(tensor);
    for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) + (change[i] as number);
    this.#tensors.set(name, tensorOf('f32', tensor.shape, values));
  }

  async compute(name: string, known: ReadonlyMap<string, BatchValues>): Promise<BatchValues> {
    const [values] = await this.computeAll([name], known);
    return values as BatchValues;
  }

  /** Computes values from those that are known by name. */
  async computeAll(names: readonly string[], known: ReadonlyMap<string, BatchValues>): Promise<BatchValues[]> {
    const graph = this.graph();
    const nodes = nodesByName(graph);
    const given = new Map([...known].map(([name, values]) => [nodes.get(name) as Node, values]));
    const wanted = names.map((name) => nodes.get(name) as Node);
    const values = await this.#runs.compute(graph, wanted, given);
    return wanted.map((node) => values.get(node) as BatchValues);
  }
}

/** Shapes of the weights of embeddings and layers. */
function* weightShapes(sizes: MobileBertSizes, scope: string): Iterable<readonly [string, readonly number[]]> {
  const { layers, hidden, bottleneck, intermediate, feedForwards, attentionInBottleneck } = sizes;
  const linear = function* (name: string, out: number, input: number): Iterable<readonly [string, readonly number[]]> {
    yield [`${name}.weight`, [out, input]];
    yield [`${name}.bias`, [out]];
  };
  const norm = function* (name: string, size: number): Iterable<readonly [string, readonly number[]]> {
    yield [`${name}.weight`, [size]];
    yield [`${name}.bias`, [size]];
  };
  yield* norm(`${scope}embeddings.LayerNorm`, hidden);
  for (let n = 0; n < layers; n++) {
    const layer = `${scope}encoder.layer.${n}`;
    const read = attentionInBottleneck ? bottleneck : hidden;
    yield* linear(`${layer}.attention.self.query`, bottleneck, bottleneck);
    yield* linear(`${layer}.attention.self.key`, bottleneck, bottleneck);
    yield* linear(`${layer}.attention.self.value`, bottleneck, read);
    yield* linear(`${layer}.attention.output.dense`, bottleneck, bottleneck);
    yield* norm(`${layer}.attention.output.LayerNorm`, bottleneck);
    for (const part of attentionInBottleneck ? ['input'] : ['input', 'attention']) {
      yield* linear(`${layer}.bottleneck.${part}.dense`, bottleneck, hidden);
      yield* norm(`${layer}.bottleneck.${part}.LayerNorm`, bottleneck);
    }
    for (let f = 0; f < feedForwards; f++) {
      const network = f === feedForwards - 1 ? layer : `${layer}.ffn.${f}`;
      yield* linear(`${network}.intermediate.dense`, intermediate, bottleneck);
      yield* linear(`${network}.output.dense`, bottleneck, intermediate);
      yield* norm(`${network}.output.LayerNorm`, bottleneck);
    }
    yield* linear(`${layer}.output.bottleneck.dense`, hidden, bottleneck);
    yield* norm(`${layer}.output.bottleneck.LayerNorm`, hidden);
  }
}

/** A linear of zeros, or a norm that does nothing. */
function blank(name: string, shape: readonly number[]): Tensor {
  return computedTensor('f32', shape, () => {
    return new Float32Array(sizeOf(shape)).fill(name.endsWith('LayerNorm.weight') ? 1 : 0);
  });
}
