import type { Graph } from '../ir/graph.ts';
import type { PassObserver, PassReport } from '../ir/pass.ts';

/** What one run of a pass took. */
export interface PassTime {
  readonly pass: string;
  /** The format that it ran for, where two are written: what runs before that runs for both. */
  readonly format?: string;
  /** Wall time, the check of the graph behind the pass not counted. */
  readonly timeMs: number;
  readonly rewrites: number;
}

/** Takes the time of each pass, in the order in which they run. */
export class PassTimes implements PassObserver {
  readonly rows: PassTime[];
  readonly #format: string | undefined;

  constructor(rows: PassTime[] = [], format?: string) {
    this.rows = rows;
    this.#format = format;
  }

  /** One that adds to the same rows, under a format's name. */
  forFormat(format: string): PassTimes {
    return new PassTimes(this.rows, format);
  }

  after(_: Graph, pass: string, { rewrites }: PassReport, timeMs: number): void {
    const format = this.#format;
    this.rows.push({ pass, ...(format && { format }), timeMs: Math.round(timeMs * 100) / 100, rewrites });
  }
}
