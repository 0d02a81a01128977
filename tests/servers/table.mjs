// Rows as one aligned table.

/** Texts to the left, numbers to the right; the columns are the fields of the first row. */
export function aligned(rows) {
  const columns = Object.keys(rows[0]);
  const cells = rows.map((row) => columns.map((column) => String(row[column])));
  const isText = columns.map((column) => /^[a-z]/i.test(String(rows[0][column])));
  const widths = columns.map((column, i) =>
    Math.max(column.length, ...cells.map((row) => row[i].length)),
  );
  const line = (texts) =>
    texts
      .map((text, i) => (isText[i] ? text.padEnd(widths[i]) : text.padStart(widths[i])))
      .join("  ")
      .trimEnd();
  return [line(columns), ...cells.map(line)].join("\n");
}
