import { loadOnnxModel } from '../../calibration/graph-session.ts';
import { MbertError } from '../../errors.ts';
import { onnxModel } from '../../exporters/onnx/model.ts';
import { minimumOpset, onnx } from '../../exporters/onnx.ts';
import { copyGraph } from '../../ir/copy-graph.ts';
import { evaluate } from '../../ir/evaluate.ts';
import type { Graph } from '../../ir/graph.ts';
import { convertTensor, type Tensor } from '../../ir/tensor.ts';
import { raise } from '../../passes/raise/raise.ts';
import { runtimeFor } from '../../runtimes/index.ts';
import { onnxruntime } from '../../runtimes/onnxruntime.ts';
import type { RuntimeSession, TensorInfo } from '../../runtimes/runtime.ts';
import type { DiffSide } from './sides.ts';

/** A model that can be run. */
export interface Runner {
  /** What runs it, as `onnxruntime 1.30.0`, or `reference`. */
  readonly name: string;
  readonly inputs: readonly Pick<TensorInfo, 'name' | 'shape'>[];
  readonly outputs: readonly string[];
  run(feeds: ReadonlyMap<string, Tensor>): Promise<ReadonlyMap<string, Tensor>>;
  close(): Promise<void>;
}

/**
 * Opens a model for running. `runtime`: the file itself where a runtime takes it, otherwise its graph written as ONNX.
 * `reference`: the ops' reference semantics. Throws USAGE for graph text.
 */
export async function openRunner(side: DiffSide, how: 'runtime' | 'reference'): Promise<Runner> {
  if (side.format === 'text') {
    throw new MbertError('USAGE', `--numeric: ${side.path} is graph text, which cannot run`);
  }
  if (how === 'reference') return referenceRunner(side.reference);
  if (side.fileBytes !== undefined && (side.format === 'onnx' || side.format === 'tflite')) {
    const runtime = runtimeFor(side.path);
    return sessionRunner(`${runtime.name} ${await runtime.version()}`, await runtime.load(side.path));
  }
  const graph = copyGraph(side.reference);
  await raise(graph);
  const model = onnxModel(graph, { ...onnx.defaults, opset: Math.max(onnx.defaults.opset, minimumOpset(graph)) });
  return sessionRunner(`onnxruntime ${await onnxruntime.version()}`, await loadOnnxModel(model));
}

function sessionRunner(name: string, session: RuntimeSession): Runner {
  return {
    name,
    inputs: session.inputs,
    outputs: session.outputs.map((output) => output.name),
    run: (feeds) => session.run(feeds),
    close: () => session.close(),
  };
}

function referenceRunner(graph: Graph): Runner {
  return {
    name: 'reference',
    inputs: graph.inputs.map(({ name, type }) => ({ name, shape: type.shape })),
    outputs: graph.outputs.map(({ name }) => name),
    async run(feeds) {
      const converted = graph.inputs.map(({ name, type }): [string, Tensor] => [
        name,
        convertTensor(feeds.get(name) as Tensor, type.dtype),
      ]);
      return evaluate(graph, new Map(converted));
    },
    close: async () => {},
  };
}
