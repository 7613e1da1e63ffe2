/**
 * Assigns a column to each row of costs [rows, columns] so that columns rise from row to row and the sum of costs is the
 * least, exactly, by dynamic programming. There are at least as many columns as rows.
 */
export function cheapestRisingMap(costs: readonly Float64Array[]): number[] {
  const columns = costs[0]?.length ?? 0;
  // best[row][column]: the least sum of the rows up to this one where it takes this column or one before.
  const best: Float64Array[] = [];
  for (const [row, own] of costs.entries()) {
    const sums = new Float64Array(columns).fill(Number.POSITIVE_INFINITY);
    for (let column = row; column < columns; column++) {
      const before = row === 0 ? 0 : ((best[row - 1] as Float64Array)[column - 1] ?? Number.POSITIVE_INFINITY);
      const taken = before + (own[column] as number);
      sums[column] = Math.min(taken, column === 0 ? Number.POSITIVE_INFINITY : (sums[column - 1] as number));
    }
    best.push(sums);
  }
  const map: number[] = [];
  let column = columns - 1;
  for (let row = costs.length - 1; row >= 0; row--) {
    const sums = best[row] as Float64Array;
    while (column > row && sums[column - 1] === sums[column]) column--;
    map.unshift(column--);
  }
  return map;
}

/**
 * Assigns columns to rows one after the other: each takes the best column behind that of the row before that leaves one
 * for each row to come.
 */
export function greedyRisingMap(scores: readonly Float64Array[]): number[] {
  let from = 0;
  return scores.map((own, row) => {
    const last = own.length - (scores.length - row);
    let best = from;
    for (let column = from + 1; column <= last; column++)
      if ((own[column] as number) > (own[best] as number)) best = column;
    from = best + 1;
    return best;
  });
}
