import { malformed } from '../errors.ts';

/** One record of a file of separated values. */
export interface CsvRecord {
  readonly cells: readonly string[];
  /** Line of the file that it starts on, counted from 1. */
  readonly line: number;
}

const HINT = 'a cell with separators, quotes or line ends stands in quotes, and a quote inside is doubled';

/**
 * Reads records of separated values as RFC 4180 has them: cells may stand in quotes and then hold separators, line ends
 * and doubled quotes. Lines end in LF, CRLF or CR; empty ones do not count. Throws MALFORMED, as `what: line N: problem`,
 * for what two readers would read in two ways: a quote inside a bare cell, text behind a closing quote, a quote without
 * an end, unless the text is the beginning of one (`isPart`): there the records end before it.
 */
export function* csvRecords(text: string, separator: string, what: string, isPart = false): Generator<CsvRecord> {
  const bare = new RegExp(`[^${separator}\r\n]*`, 'y');
  let at = 0;
  let line = 1;
  while (at < text.length) {
    const start = line;
    const cells: string[] = [];
    let wasQuoted = false;
    for (;;) {
      if (text[at] === '"') {
        const end = closingQuote(text, at);
        if (end < 0 && isPart) return;
        if (end < 0) throw malformed(`${what}: line ${line}`, 'a quoted cell has no end', HINT);
        const cell = text.slice(at + 1, end);
        cells.push(cell.replaceAll('""', '"'));
        line += lineEnds(cell);
        at = end + 1;
        wasQuoted = true;
      } else {
        bare.lastIndex = at;
        const cell = bare.exec(text)?.[0] ?? '';
        if (cell.includes('"')) throw malformed(`${what}: line ${line}`, 'a quote inside a cell without quotes', HINT);
        cells.push(cell);
        at += cell.length;
      }
      if (text[at] !== separator) break;
      at++;
    }
    if (at < text.length && text[at] !== '\r' && text[at] !== '\n') {
      throw malformed(`${what}: line ${line}`, 'text behind the closing quote of a cell', HINT);
    }
    at += text.startsWith('\r\n', at) ? 2 : 1;
    line++;
    const isEmpty = cells.length === 1 && !wasQuoted && cells[0]?.trim() === '';
    if (!isEmpty) yield { cells, line: start };
  }
}

/** Place of the quote that closes the cell opened at `open`, -1 if there is none. */
function closingQuote(text: string, open: number): number {
  for (let at = text.indexOf('"', open + 1); at >= 0; at = text.indexOf('"', at + 2)) {
    if (text[at + 1] !== '"') return at;
  }
  return -1;
}

function lineEnds(text: string): number {
  return text.match(/\r\n|\n|\r/g)?.length ?? 0;
}
