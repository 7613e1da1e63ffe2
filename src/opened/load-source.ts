import { loadOnnxModel } from '../calibration/graph-session.ts';
import { MbertError } from '../errors.ts';
import { onnxModel } from '../exporters/onnx/model.ts';
import { minimumOpset, onnx } from '../exporters/onnx.ts';
import type { Graph } from '../ir/graph.ts';
import { refuseHeavy } from '../ir/refuse-heavy.ts';
import { runtimeFor } from '../runtimes/index.ts';
import { onnxruntime } from '../runtimes/onnxruntime.ts';
import type { RuntimeSession } from '../runtimes/runtime.ts';

/** A model loaded into a real runtime. */
export interface LoadedSource {
  readonly session: RuntimeSession;
  /** Name and version of the runtime, as `onnxruntime 1.30.0`. */
  readonly runtime: string;
  /** Whether the file itself runs, or the graph that was read from the source, written as ONNX without any pass. */
  readonly ran: 'file' | 'graph';
  /** Why the file itself did not run, though a runtime takes its format; undefined otherwise. */
  readonly refusal: string | undefined;
}

/** Loads the file itself where a runtime takes it (`runnable`), otherwise its graph. Throws UNSUPPORTED for what no runtime should load. */
export async function loadSource(
  runnable: string | undefined,
  graph: Graph,
  options: { readonly threads?: number } = {},
): Promise<LoadedSource> {
  refuseHeavy(graph, runnable ?? graph.name);
  if (runnable === undefined) return { ...(await loadGraph(graph, options)), refusal: undefined };
  const runtime = runtimeFor(runnable);
  try {
    const session = await runtime.load(runnable, options);
    return { session, runtime: `${runtime.name} ${await runtime.version()}`, ran: 'file', refusal: undefined };
  } catch (cause) {
    // LiteRT's WebAssembly build takes fixed shapes and float outputs only: for other files the graph that was read
    // from them runs instead.
    if (!isUnsupported(cause)) throw cause;
    try {
      return { ...(await loadGraph(graph, options)), refusal: cause.message };
    } catch (graphCause) {
      // The file's own refusal is the one that says what to do.
      throw isUnsupported(graphCause) ? cause : graphCause;
    }
  }
}

function isUnsupported(cause: unknown): cause is MbertError {
  return cause instanceof MbertError && cause.code === 'UNSUPPORTED';
}

async function loadGraph(graph: Graph, { threads }: { readonly threads?: number }) {
  const model = onnxModel(graph, { ...onnx.defaults, opset: Math.max(onnx.defaults.opset, minimumOpset(graph)) });
  const session = await loadOnnxModel(model, threads);
  return { session, runtime: `onnxruntime ${await onnxruntime.version()}`, ran: 'graph' as const };
}
