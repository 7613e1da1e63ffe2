import { MbertError } from '../errors.ts';
import { html } from '../reports/html/markup.ts';
import { failuresList, type Place, pageHtml } from '../reports/html/page.ts';

/** Page that says why there is no other one. `told` makes its texts fit for whoever reads them. */
export function errorPage(cause: unknown, place: Place, told: (text: string) => string = (text) => text): string {
  const isBug = !(cause instanceof MbertError);
  const problems = isBug ? [cause instanceof Error ? cause.message : String(cause)] : cause.problems;
  const hint = isBug ? 'This is a bug in mbert: please report it with the files.' : cause.hint;
  return pageHtml({
    title: isBug ? 'Something went wrong' : 'These models cannot be compared',
    lead: isBug ? 'mbert view' : cause.code,
    place,
    sections: [
      {
        title: 'Problem',
        body: html`${failuresList(problems.map(told))}${hint === undefined ? null : html`<p>Hint: ${told(hint)}</p>`}`,
      },
    ],
  });
}
