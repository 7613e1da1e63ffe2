import type { Budget, FoundModel, LayerSummary, MissedBudget, SearchResult } from '../pipelines/search/types.ts';
import { agreementHeading, agreementValue } from './agreement.ts';
import { decibels, percents } from './numbers.ts';
import { filledColumns, plural, size, table } from './text.ts';

/** Prints what was found for each budget, and what became of the layers. */
export function searchText(result: SearchResult): string {
  const { shard, models, missed } = result;
  if (shard) {
    const { scored, index, count, path } = shard;
    return `part ${index} of ${count}: ${scored} of ${plural(result.candidates, 'candidate')} scored, in ${path}`;
  }
  const blocks = [sourceText(result)];
  if (models.length > 0) blocks.push(modelsTable(models), ...models.map(layersText), NOTES);
  if (missed.length > 0) blocks.push(missed.map(missedText).join('\n'));
  return blocks.join('\n\n');
}

const NOTES = [
  "time and operations are shares of the teacher's; time is measured: one thread, runs of both files in turns",
  '* no other model is as small, as fast and as good',
].join('\n');

/** Says what was searched. */
export function sourceText({ source, candidates, teacher, calibration }: SearchResult): string {
  const text = calibration ? `, fitted to ${plural(calibration.count, 'text')} of ${calibration.source}` : '';
  const bytes = teacher.bytes === null ? '' : ` (${size(teacher.bytes)} in floats)`;
  return `${source}${bytes}: ${plural(candidates, 'candidate')}${text}`;
}

/** Heading of how far models agree with their teacher. */
export function agreesHeading(models: readonly FoundModel[]): string {
  const measured = models.flatMap(({ heldOut }) => heldOut ?? []);
  return measured[0] === undefined || measured[0].agreementOf === 'choices' ? 'agrees' : agreementHeading(measured);
}

function modelsTable(models: readonly FoundModel[]): string {
  const heading = [
    'budget',
    'size',
    'form',
    'time',
    'operations',
    agreesHeading(models),
    'logits',
    'accuracy',
    'best',
    'file',
  ];
  const rows = models.map(({ budget, bytes, form, speed, operations, heldOut, isOnFront, path }) => [
    budgetText(budget),
    size(bytes),
    form,
    (1 / speed.speedup).toFixed(2),
    operations.toFixed(2),
    heldOut ? agreementValue(heldOut) : '',
    heldOut ? decibels(heldOut.sqnrDb) : '',
    heldOut?.accuracy ? percents(heldOut.accuracy.changed) : '',
    isOnFront ? '*' : '',
    path,
  ]);
  return table(filledColumns(heading, rows));
}

/** A budget in words. */
export function budgetText(budget: Budget): string {
  return budget.kind === 'size' ? size(budget.bytes) : `${Number(budget.ratio.toFixed(4))} of the time`;
}

function layersText({ budget, layers, wordColumns }: FoundModel): string {
  const words = wordColumns === null ? '' : `word table of ${wordColumns} columns, `;
  return `${budgetText(budget)}: ${words}${layers.map(layerText).join(', ')}`;
}

/** What is left of a layer: heads, then neurons of each network. */
export function layerText({ kind, groups, isConverted, bits }: LayerSummary): string {
  const inBits = bits === 4 ? ' in 4 bits' : '';
  if (kind !== 'cut') return kind;
  const parts = (['heads', 'neurons'] as const).map((unit) => {
    const own = groups.filter((group) => group.kind === unit);
    return own.length === 0 ? '' : `${own.map(({ kept }) => kept).join('+')}${unit === 'heads' ? 'h' : 'n'}`;
  });
  const words = [...parts, isConverted ? 'NoNorm ReLU' : ''].filter((part) => part !== '');
  return `${words.join(' ') || 'kept'}${inBits}`;
}

/** Says that a budget was not met. */
export function missedText({ budget, reason }: MissedBudget): string {
  return `NOT MET ${budgetText(budget)}: ${reason}`;
}
