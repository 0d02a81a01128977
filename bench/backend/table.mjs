// Figures as people read them.

/** One server's line; `against` is what it is compared with. */
export function row(name, figures, against) {
  const ratio = (mine, other) => `${(mine / other).toFixed(mine / other < 10 ? 2 : 1)} ×`;
  return {
    server: name,
    "requests/s": Math.round(figures.rate),
    "": ratio(figures.rate, against.rate),
    "per CPU s": Math.round(figures.perCpu),
    " ": ratio(figures.perCpu, against.perCpu),
    p50: time(figures.p50),
    p99: time(figures.p99),
    "not 2xx": figures.bad,
  };
}

/** From microseconds. */
export function time(us) {
  return us < 10_000 ? `${(us / 1000).toFixed(2)} ms` : `${(us / 1000).toFixed(0)} ms`;
}

/** How often each was answered. */
export function statuses(counts) {
  return Object.entries(counts)
    .map(([status, count]) => `${count} × ${status}`)
    .join(", ");
}

/** Lines under a heading, in columns: texts to the left, figures to the right. */
export function table(heading, rows) {
  const names = Object.keys(rows[0]);
  const lines = [names, ...rows.map((row) => names.map((name) => String(row[name])))];
  const width = (index) => Math.max(...lines.map((line) => line[index].length));
  const isText = (index) => index === 0 || names[index].includes("answers");
  const cell = (text, index) =>
    isText(index) ? text.padEnd(width(index)) : text.padStart(width(index));
  const text = lines.map((line) => `  ${line.map(cell).join("  ")}`.trimEnd());
  return [heading, ...text, ""].join("\n");
}
