import { AGREEMENT_NAMES, type Agreement, untoldReason } from '../pipelines/evaluate/agreement.ts';
import type { ChoicesBy } from '../pipelines/evaluate/decisions.ts';
import type { Tile } from './html/page.ts';
import { percents } from './numbers.ts';

/** An agreement as a number: a correlation is no share. A dash where it cannot be told. */
export function agreementValue({ agreement, agreementOf }: Agreement): string {
  if (agreement === null || Number.isNaN(agreement)) return '–';
  return agreementOf === 'correlation' ? agreement.toFixed(4) : percents(agreement);
}

/** An agreement as a number, or the reason why it cannot be told. */
export function agreementWords(found: Agreement): string {
  return untoldReason(found) ?? agreementValue(found);
}

/** Heading of a column of agreements, which are all of one kind. */
export function agreementHeading(rows: readonly Pick<Agreement, 'agreementOf'>[]): string {
  const of = rows[0]?.agreementOf ?? 'choices';
  return of === 'choices' ? 'agreement' : AGREEMENT_NAMES[of];
}

/** Tile of an agreement; where there is no number its note says why. */
export function agreementTile(label: string, found: Agreement, note?: string): Tile {
  const notes = [note, untoldReason(found)].filter((each) => each !== undefined);
  return { label, value: agreementValue(found), ...(notes.length > 0 && { note: notes.join('; ') }) };
}

/** Names of shares of equal choices. */
const CHOICES_NAMES: { readonly [C in ChoicesBy]: string } = { largest: 'argmax', decisions: 'decisions' };

/** Name of the share of equal choices of one output. */
export function choicesName({ choices }: { readonly choices: ChoicesBy }): string {
  return CHOICES_NAMES[choices];
}

/** Heading of a column of such shares. */
export function choicesHeading(rows: readonly { readonly choices: ChoicesBy }[]): string {
  const [first = CHOICES_NAMES.largest, ...others] = new Set(rows.map(choicesName));
  return others.length > 0 ? 'equal choices' : first;
}
