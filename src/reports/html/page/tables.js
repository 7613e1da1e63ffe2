// Tables sort by a click on a heading, and show the rows that hold what is typed.
for (const table of document.querySelectorAll('table[data-sorts]')) {
  const body = /** @type {HTMLTableElement} */ (table).tBodies[0];
  if (!body) continue;
  const headings = [...table.querySelectorAll('thead th')];
  for (const [column, heading] of headings.entries()) {
    heading.querySelector('button')?.addEventListener('click', () => {
      const isDown = heading.getAttribute('aria-sort') !== 'descending';
      for (const other of headings) other.removeAttribute('aria-sort');
      heading.setAttribute('aria-sort', isDown ? 'descending' : 'ascending');
      const sign = isDown ? -1 : 1;
      const rows = [...body.rows].sort((a, b) => sign * compare(a.cells[column], b.cells[column]));
      body.append(...rows);
    });
  }
  const field = table.closest('.table')?.querySelector('input[data-filter]');
  field?.addEventListener('input', () => {
    const wanted = /** @type {HTMLInputElement} */ (field).value.toLowerCase();
    for (const row of body.rows) row.hidden = !(row.textContent ?? '').toLowerCase().includes(wanted);
  });
}

/**
 * Numbers by value, those without one last whatever the direction would be for the rest; other cells as text.
 *
 * @param {HTMLTableCellElement | undefined} a
 * @param {HTMLTableCellElement | undefined} b
 */
function compare(a, b) {
  const [x, y] = [a?.dataset['value'], b?.dataset['value']];
  if (x !== undefined && y !== undefined) return Number(x) - Number(y);
  if (x !== undefined || y !== undefined) return x === undefined ? -1 : 1;
  return (a?.textContent ?? '').localeCompare(b?.textContent ?? '', 'en', { numeric: true });
}
