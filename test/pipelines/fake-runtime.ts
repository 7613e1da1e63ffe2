import { readFileSync } from 'node:fs';
import { onTestFinished, vi } from 'vitest';
import { openSource } from '../../src/importers/index.ts';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Graph } from '../../src/ir/graph.ts';
import type { Tensor } from '../../src/ir/tensor.ts';
import { litert } from '../../src/runtimes/litert.ts';
import { onnxruntime } from '../../src/runtimes/onnxruntime.ts';
import { fitFeeds, type LoadOptions, type RuntimeSession } from '../../src/runtimes/runtime.ts';

type Values = ReadonlyMap<string, Tensor>;

/** A model file that was loaded. */
export interface LoadedFile {
  readonly path: string;
  readonly graph: Graph;
  /** Its bytes as text: what it says of itself can be searched for. */
  readonly text: string;
  readonly options: LoadOptions;
  /** What it was run on so far. */
  readonly feeds: Values[];
}

/** What a loaded file computes from feeds. */
export type Answers = (file: LoadedFile, feeds: Values) => Values;

export const computed: Answers = ({ graph }, feeds) => evaluate(graph, feeds);

export interface FakeRuntime {
  /** In the order of loading. */
  readonly loaded: readonly LoadedFile[];
  /** How many of them were not closed. */
  open(): number;
}

/**
 * Takes the place of both runtimes until the test is done: files are read by mbert itself, and answer as `answers` says, by
 * default what the reference evaluator computes. `onLoad` hears of each file that is loaded.
 */
export function useFakeRuntime(
  answers: Answers = computed,
  onLoad: (file: LoadedFile) => void = () => {},
): FakeRuntime {
  const loaded: LoadedFile[] = [];
  let open = 0;
  const load = async (model: string | Uint8Array, options: LoadOptions = {}): Promise<RuntimeSession> => {
    if (typeof model !== 'string') throw new Error('bytes cannot be loaded here');
    const source = await openSource(model);
    if (source.yields !== 'graph') throw new Error(`${model} is no graph`);
    const { graph } = source;
    const file = { path: model, graph, text: readFileSync(model, 'latin1'), options, feeds: [] as Values[] };
    loaded.push(file);
    onLoad(file);
    open++;
    const inputs = graph.inputs.map(({ name, type }) => ({ name, dtype: type.dtype, shape: type.shape }));
    const outputs = graph.outputs.map(({ name, node: { type } }) => ({ name, dtype: type.dtype, shape: type.shape }));
    let isOpen = true;
    return {
      inputs,
      outputs,
      async run(given) {
        const feeds = fitFeeds(model, inputs, given);
        file.feeds.push(feeds);
        return answers(file, feeds);
      },
      async close() {
        if (!isOpen) return;
        isOpen = false;
        open--;
        source.close();
      },
    };
  };
  for (const runtime of [onnxruntime, litert]) {
    vi.spyOn(runtime, 'load').mockImplementation(load);
    vi.spyOn(runtime, 'version').mockResolvedValue('0.0');
  }
  onTestFinished(() => {
    vi.restoreAllMocks();
  });
  return { loaded, open: () => open };
}
