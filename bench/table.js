/**
 * Columns side by side: the first two to the left, numbers to the right.
 * @param {readonly (readonly string[])[]} rows
 */
export function table(rows) {
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0))) ?? [];
  const cell = (/** @type {string} */ text, /** @type {number} */ i) =>
    /^[\d.]+$/.test(rows[1]?.[i] ?? '') ? text.padStart(widths[i] ?? 0) : text.padEnd(widths[i] ?? 0);
  return rows.map((row) => row.map(cell).join('  ').trimEnd()).join('\n');
}

/** @param {readonly number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}
