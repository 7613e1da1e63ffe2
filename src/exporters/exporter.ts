import type { OutputFile } from '../io/files.ts';
import type { Graph } from '../ir/graph.ts';

/** A writer of graphs in one file format. It touches no disk: the files it yields come in chunks. */
export interface Exporter<Options extends object = object> {
  readonly name: string;
  readonly defaults: Options;
  write(graph: Graph, options: Options): AsyncIterable<OutputFile>;
}
