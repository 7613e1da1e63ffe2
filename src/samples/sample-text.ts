import { MbertError, malformed } from '../errors.ts';
import { decodeText } from '../io/bytes.ts';
import type { ModelFile } from '../io/files.ts';
import { HEAD_BYTES, MAX_WHOLE_BYTES } from '../io/part-of-file.ts';

/** Most lines: MNLI, the largest set of GLUE, has 392,702. Each takes a hundred bytes, whatever is on it. */
const MAX_LINES = 1_000_000;

/** Longest line, in bytes: thirty times the longest text that a model of 8,192 tokens takes. */
const MAX_LINE_BYTES = 2 ** 20;

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** Limits of `readSampleText`. */
export interface TextLimits {
  readonly wholeBytes: number;
  readonly headBytes: number;
  readonly lines: number;
  readonly lineBytes: number;
}

const LIMITS: TextLimits = {
  wholeBytes: MAX_WHOLE_BYTES,
  headBytes: HEAD_BYTES,
  lines: MAX_LINES,
  lineBytes: MAX_LINE_BYTES,
};

/** Text of a file of samples. */
export interface SampleText {
  readonly text: string;
  /** Bytes of the file that the text is of, where it is its beginning only; undefined where it is all. */
  readonly partBytes: number | undefined;
}

/**
 * Reads the text of a file; of a large one as many whole lines from the beginning as are worth it. Throws UNSUPPORTED for
 * JSON that is one value and too large, MALFORMED for a line that is too long to be a text.
 */
export function readSampleText(file: ModelFile, limits = LIMITS): SampleText {
  const isWhole = file.size <= limits.wholeBytes;
  const bytes = file.read(0, isWhole ? file.size : Math.min(file.size, limits.headBytes));
  if (isOneValue(bytes, file.path)) {
    if (isWhole) return { text: decodeText(bytes, file.path), partBytes: undefined };
    throw new MbertError('UNSUPPORTED', `${file.path}: ${file.size} bytes of JSON are over ${limits.wholeBytes}`, {
      hint: 'write it as JSON lines, an object a line: of those a part can be read',
    });
  }
  const end = endOfLines(bytes, isWhole, limits, file.path);
  return {
    text: decodeText(bytes.subarray(0, end), file.path),
    partBytes: end < file.size ? end : undefined,
  };
}

/** Bytes in which the beginning of a JSON value shows what it is. */
const PROBE_BYTES = 256;

/** True for a JSON array, and for SQuAD's object. */
function isOneValue(bytes: Uint8Array, path: string): boolean {
  const start = Buffer.from(bytes.subarray(0, PROBE_BYTES)).toString('latin1');
  return looksLikeArray(start, path) || looksLikeSquad(start);
}

/** True for a text that is a JSON array of objects or texts. */
export function looksLikeArray(text: string, path: string): boolean {
  return /^\s*\[\s*[{"]/.test(text) || (/^\s*\[/.test(text) && /\.json$/i.test(path));
}

/** True for a text that is one JSON object whose first keys are SQuAD's, not an object a line. */
export function looksLikeSquad(text: string): boolean {
  return /^\s*\{\s*"(version"\s*:\s*"[^"]*"\s*,\s*"data|data)"\s*:/.test(text);
}

/** Place behind the last line that is read. A line end is LF, CRLF or CR. */
function endOfLines(bytes: Uint8Array, isWhole: boolean, limits: TextLimits, path: string): number {
  let start = 0;
  let lines = 0;
  const refuseLong = (end: number) => {
    if (end - start <= limits.lineBytes) return;
    throw malformed(`${path}: line ${lines + 1}`, `is over ${limits.lineBytes} bytes long`, 'write one text a line');
  };
  for (let at = 0; at < bytes.byteLength; at++) {
    const byte = bytes[at];
    if (byte !== LINE_FEED && byte !== CARRIAGE_RETURN) continue;
    refuseLong(at);
    if (byte === CARRIAGE_RETURN && bytes[at + 1] === LINE_FEED) at++;
    start = at + 1;
    if (++lines === limits.lines) return start;
  }
  refuseLong(bytes.byteLength);
  return isWhole ? bytes.byteLength : start;
}
