import { MbertError } from '../errors.ts';
import { diffModels } from '../pipelines/diff/diff-models.ts';
import { type InspectOptions, inspect } from '../pipelines/inspect/inspect.ts';
import type { ServedPlace } from '../reports/html/page.ts';
import { pages } from '../reports/pages.ts';
import { type CommandSpec, saying } from './command.ts';
import * as flags from './flags.ts';
import { warn } from './io.ts';
import { openBrowser } from './open-browser.ts';
import { port } from './parsers.ts';

interface ViewFlags extends Omit<InspectOptions, 'source' | 'outline' | 'target' | 'passes'> {
  readonly port?: number;
  /** False for `--no-open`. */
  readonly open: boolean;
}

export const command: CommandSpec<ViewFlags> = {
  description:
    'Serves the page of a model to this machine alone and opens it in the browser: the graph, its weights with histograms. A model that is dropped on the page, or given as OTHER, is compared with it. Ctrl-C ends it.',
  flags: [
    ...flags.shapeFlags,
    saying(
      flags.calibrate,
      'texts or tokens, eight of which are run: a histogram of every value, not of weights alone',
    ),
    ...flags.textColumnFlags,
    flags.vocab,
    { flags: '--port <n>', says: 'port of 127.0.0.1 to listen on (default: one that is free)', parse: port },
    { flags: '--no-open', says: 'print the address, and start no browser' },
  ],
  examples: [
    'model.tflite',
    './mobilebert-sst2 model.onnx',
    'model.onnx --no-open --port 8080   # for a tunnel: ssh -L',
  ],
  async run({ io, progress, args: [model = '', other], options }) {
    const { port: asked, open, ...inspected } = options;
    if (other !== undefined && inspected.calibrate !== undefined) {
      throw new MbertError('USAGE', '--calibrate: is for the values of one model', {
        hint: `leave it or ${other} out, and drop the other model on the page`,
      });
    }
    const hears = { progress: progress.step, note: progress.note };
    const compare = async (path: string, name: string, place: ServedPlace) => {
      // What is dropped on the page is waited for there.
      const heard = place.isFirst ? hears : {};
      const diff = await diffModels({ a: model, b: path, task: inspected.task, outline: true, ...heard });
      progress.clear();
      warn(io, diff.warnings);
      return pages.diff({ ...diff, b: { ...diff.b, path: name } }, false, place);
    };
    // Pages are made by much code, which help and completions do without.
    const { serve } = await import('../viewer/serve.ts');
    const serving = await serve({
      port: asked,
      compare,
      async page(place) {
        if (other !== undefined) return compare(other, other, place);
        const result = await inspect({ ...inspected, source: model, outline: true, ...hears });
        progress.clear();
        warn(io, result.warnings);
        return pages.inspect(result, place);
      },
    });
    io.out(`${serving.url}\n`);
    if (open) {
      openBrowser(serving.addressOnce(), () =>
        progress.note('no browser could be started here: open the address by hand'),
      );
    }
    progress.note('Ctrl-C ends it');
    // A signal ends the process, and with it the server.
    return new Promise(() => undefined);
  },
};
