import { listNames, type MbertError, malformed } from '../errors.ts';
import { csvRecords } from '../formats/csv.ts';
import { isObject, type JsonObject, type JsonValue, jsonText, parseJson } from '../formats/json.ts';
import { COLUMNS_HINT, type ColumnNames, type Columns, findColumns, hasColumns } from './columns.ts';
import { looksLikeArray } from './sample-text.ts';

/** Form of a file of texts. */
export type TableForm = 'lines' | 'TSV' | 'CSV' | 'JSON lines' | 'JSON';

/** One sample as the file has it. */
export interface TableRow {
  /** Name of the row in errors, by file and line. */
  readonly what: string;
  readonly columns: Columns;
  get(column: string): JsonValue | undefined;
}

/** Rows of a file with columns, or its lines. */
export type SampleTable =
  | { readonly form: 'lines'; readonly lines: readonly string[] }
  | { readonly form: Exclude<TableForm, 'lines'>; readonly rows: readonly TableRow[] };

interface Line {
  readonly text: string;
  readonly file: string;
  readonly number: number;
}

/** Name of a line in errors. */
function lineName({ file, number }: Line): string {
  return `${file}: line ${number}`;
}

/**
 * Tells the form of a text and takes it apart. JSON is told by its first characters, TSV and CSV by a header with known
 * or asked columns, CSV also by the file's name; all else is one text a line. Throws MALFORMED for rows that do not
 * fit, and for a file that is separated values by its looks but whose columns nobody knows: as lines it would be read
 * with its header and labels. Of a text that is the beginning of a file (`isPart`), a quoted cell without an end is the last
 * one, and left out.
 */
export function readTable(text: string, what: string, asked: ColumnNames, isPart = false): SampleTable {
  if (looksLikeArray(text, what)) return jsonArray(text, what, asked);
  const lines = text
    .split(/\r\n|\n|\r/)
    .map((line, i): Line => ({ text: line, file: what, number: i + 1 }))
    .filter((line) => line.text.trim() !== '');
  const [first] = lines;
  if (first === undefined) throw malformed(what, 'holds no samples');
  if (first.text.trimStart().startsWith('{')) return { form: 'JSON lines', rows: jsonLines(lines, asked) };
  const isCsv = /\.csv$/i.test(what);
  const tabs = first.text.split('\t');
  if (!isCsv && isTabHeader(tabs, asked)) return { form: 'TSV', rows: tabRows(lines, what, asked) };
  const separator = separatorOf(text, what, asked);
  if (separator !== undefined || isCsv)
    return { form: 'CSV', rows: csvRows(text, separator ?? ',', what, asked, isPart) };
  if (tabs.length > 1) throw unknownColumns(lineName(first), tabs);
  refuseUnseenCsv(text, first);
  return { form: 'lines', lines: lines.map((line) => line.text) };
}

/** One word alone is a header only where it can hardly be the first of many texts. */
function isTabHeader(cells: readonly string[], asked: ColumnNames): boolean {
  const isWord = cells.length === 1 && asked.text === undefined;
  return isWord ? cells[0] === 'sentence' || cells[0] === 'text' : hasColumns(cells, asked);
}

/** Separators of what programs call CSV: spreadsheets write semicolons where the comma is the decimal point. */
const SEPARATORS = [',', ';', '\t'];

/** The separator under which the header has columns that are known or asked for. */
function separatorOf(text: string, what: string, asked: ColumnNames): string | undefined {
  // A header of one column is a word like any other, so that only the file's name tells that it is one.
  const least = /\.csv$/i.test(what) ? 1 : 2;
  return SEPARATORS.find((separator) => {
    const header = headerOf(text, separator);
    return header !== undefined && header.length >= least && hasColumns(header, asked);
  });
}

function headerOf(text: string, separator: string): readonly string[] | undefined {
  try {
    return csvRecords(text, separator, '').next().value?.cells;
  } catch {
    return undefined;
  }
}

function tabRows([header, ...rows]: readonly Line[], what: string, asked: ColumnNames): TableRow[] {
  const names = header?.text.split('\t') ?? [];
  const columns = columnsOf(names, asked, what);
  return rows.map((line) => cellRow(line.text.split('\t'), names, columns, lineName(line)));
}

function csvRows(text: string, separator: string, what: string, asked: ColumnNames, isPart: boolean): TableRow[] {
  const records = csvRecords(text, separator, what, isPart);
  const names: readonly string[] = records.next().value?.cells ?? [];
  const columns = columnsOf(names, asked, what);
  return Array.from(records, ({ cells, line }) => cellRow(cells, names, columns, `${what}: line ${line}`));
}

function columnsOf(names: readonly string[], asked: ColumnNames, what: string): Columns {
  const columns = findColumns(names, asked, what);
  if (columns === undefined) throw unknownColumns(`${what}: line 1`, names);
  const twice = [...columns.texts, columns.label].find(
    (name) => names.indexOf(name ?? '') !== names.lastIndexOf(name ?? ''),
  );
  if (twice !== undefined) throw malformed(what, `has two columns ${twice}`);
  return columns;
}

function cellRow(cells: readonly string[], names: readonly string[], columns: Columns, what: string): TableRow {
  if (cells.length !== names.length)
    throw malformed(what, `has ${cells.length} columns, the header has ${names.length}`);
  return { what, columns, get: (name) => cells[names.indexOf(name)] };
}

function jsonLines(lines: readonly Line[], asked: ColumnNames): TableRow[] {
  return lines.map((line) => objectRow(parseJson(line.text, lineName(line)), asked, lineName(line)));
}

function jsonArray(text: string, what: string, asked: ColumnNames): SampleTable {
  const values = parseJson(text, what) as readonly JsonValue[];
  const isTexts = typeof values[0] === 'string';
  if (!isTexts)
    return { form: 'JSON', rows: values.map((value, i) => objectRow(value, asked, `${what}: element ${i + 1}`)) };
  const columns: Columns = { texts: ['text'], label: undefined };
  return {
    form: 'JSON',
    rows: values.map((value, i) => ({ what: `${what}: element ${i + 1}`, columns, get: () => value })),
  };
}

function objectRow(value: JsonValue, asked: ColumnNames, what: string): TableRow {
  if (!isObject(value)) throw malformed(what, `is ${jsonText(value)}, not an object`);
  const row: JsonObject = value;
  const columns = findColumns([...row.keys()], asked, what);
  if (columns === undefined) {
    const names = listNames(shortened([...row.keys()]));
    throw malformed(what, `has no text: it has ${names || 'nothing'}`, COLUMNS_HINT);
  }
  return { what, columns, get: (name) => row.get(name) };
}

function unknownColumns(what: string, names: readonly string[]): MbertError {
  return malformed(what, `is a header without a text column: ${listNames(shortened(names))}`, COLUMNS_HINT);
}

function shortened(names: readonly string[]): string[] {
  return names.map((name) => (name.length > 40 ? `${name.slice(0, 40)}…` : name));
}

/** Name of a column, as programs write it: running text has spaces behind its commas. */
const COLUMN_NAME = /^[A-Za-z_][\w.-]*( [\w.-]+)?$/;

/** Fewest rows that tell separated values from lines whose commas happen to be equally many. */
const FEWEST_ROWS = 3;

/** Refuses what is separated values by its looks: names in the first line, and as many cells in each one behind it. */
function refuseUnseenCsv(text: string, first: Line): void {
  for (const separator of SEPARATORS) {
    const names = headerOf(text, separator);
    if (names === undefined || names.length < 2 || !names.every((name) => COLUMN_NAME.test(name))) continue;
    if (isRegular(text, separator, names.length)) throw unknownColumns(lineName(first), names);
  }
}

function isRegular(text: string, separator: string, width: number): boolean {
  let count = 0;
  try {
    for (const { cells } of csvRecords(text, separator, '')) {
      if (cells.length !== width) return false;
      count++;
    }
  } catch {
    return false;
  }
  return count > FEWEST_ROWS;
}
