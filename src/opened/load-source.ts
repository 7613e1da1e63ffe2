import { type StagedModel, stageOnnxModel } from '../calibration/graph-session.ts';
import { isUnsupported, type MbertError } from '../errors.ts';
import { onnxModel } from '../exporters/onnx/model.ts';
import { minimumOpset, onnx } from '../exporters/onnx.ts';
import type { OnnxModel } from '../formats/onnx.ts';
import type { Graph } from '../ir/graph.ts';
import { refuseHeavy } from '../ir/refuse-heavy.ts';
import { constantBytes } from '../ir/text.ts';
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

/** A source that is loaded to be run and let go again. */
export interface SourceLoader {
  /**
   * Loads the file itself where a runtime takes it, otherwise its graph; whoever calls it closes the session. Throws
   * UNSUPPORTED for what no runtime should load.
   */
  load(): Promise<LoadedSource>;
  /** Deletes temporary files; sessions are closed before. */
  remove(): void;
}

/** Loads a source once: `runnable` is the file, `graph` what was read from it. Throws as `SourceLoader.load` does. */
export async function loadSource(
  runnable: string | undefined,
  graph: Graph,
  options: { readonly threads?: number } = {},
): Promise<LoadedSource> {
  const loader = sourceLoader(runnable, graph, options);
  try {
    const loaded = await loader.load();
    const { session } = loaded;
    const close = async () => {
      await session.close();
      loader.remove();
    };
    return { ...loaded, session: { ...session, close } };
  } catch (cause) {
    loader.remove();
    throw cause;
  }
}

/** A loader of a source, as `loadSource` takes it. */
export function sourceLoader(
  runnable: string | undefined,
  graph: Graph,
  { threads }: { readonly threads?: number } = {},
): SourceLoader {
  let staged: StagedModel | undefined;
  let refusal: MbertError | undefined;
  const loadGraph = async () => {
    staged ??= await stageOnnxModel(sourceModel(graph));
    const session = await staged.load({ ...(threads !== undefined && { threads }), prepacking: false });
    const runtime = `onnxruntime ${await onnxruntime.version()}`;
    return { session, runtime, ran: 'graph' as const, refusal: refusal?.message };
  };
  return {
    async load() {
      refuseHeavy(graph, runnable ?? graph.name);
      if (runnable === undefined || refusal !== undefined) return loadGraph();
      const runtime = runtimeFor(runnable);
      try {
        const session = await runtime.load(runnable, {
          ...(threads !== undefined && { threads }),
          prepacking: !hasLargeFloats(graph),
        });
        return { session, runtime: `${runtime.name} ${await runtime.version()}`, ran: 'file', refusal: undefined };
      } catch (cause) {
        // LiteRT's WebAssembly build takes fixed shapes and float outputs only: for other files the graph that was read
        // from them runs instead.
        if (!isUnsupported(cause)) throw cause;
        refusal = cause;
        try {
          return await loadGraph();
        } catch (graphCause) {
          // The file's own refusal is the one that says what to do.
          throw isUnsupported(graphCause) ? cause : graphCause;
        }
      }
    },
    remove: () => staged?.remove(),
  };
}

/** Bytes of float weights above which a file is run without a second copy of them. */
const LARGE_BYTES = 2 ** 27;

/**
 * True for a graph whose weights are floats and many: matrix products then round in another order than those of packed
 * weights. Integers are packed as in use, as kernels for them differ.
 */
function hasLargeFloats(graph: Graph): boolean {
  const hasIntegers = graph.nodes().some(({ op, type }) => op === 'constant' && type.quant !== undefined);
  return !hasIntegers && constantBytes(graph) > LARGE_BYTES;
}

function sourceModel(graph: Graph): OnnxModel {
  return onnxModel(graph, { ...onnx.defaults, opset: Math.max(onnx.defaults.opset, minimumOpset(graph)) });
}
