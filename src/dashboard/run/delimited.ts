/** CSV and TSV (RFC 4180, and what spreadsheets write). */

/** The separator that the first lines use most evenly. */
export function separatorOf(text: string, name: string): string {
  if (/\.tsv$/i.test(name)) return '\t';
  const head = text.slice(0, 10_000).split('\n').slice(0, 5);
  const score = (mark: string) =>
    Math.min(...head.filter((line) => line !== '').map((line) => line.split(mark).length));
  return [',', '\t', ';'].reduce((best, mark) => (score(mark) > score(best) ? mark : best));
}

/** Rows of cells. `cut`: the text ends in the middle of something, so its last row is left out. */
export function readDelimited(
  text: string,
  separator: string,
  options: { maxRows: number; cut: boolean },
): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = '';
  let quoted = false;
  const source = text.startsWith('\ufeff') ? text.slice(1) : text;
  const endRow = () => {
    row.push(cell);
    cell = '';
    if (row.length > 1 || row[0] !== '') rows.push(row);
    row = [];
  };
  for (let at = 0; at < source.length; at++) {
    const char = source.charAt(at);
    if (quoted) {
      if (char !== '"') cell += char;
      else if (source[at + 1] === '"') {
        cell += '"';
        at++;
      } else quoted = false;
    } else if (char === '"' && cell === '') quoted = true;
    else if (char === separator) {
      row.push(cell);
      cell = '';
    } else if (char === '\n' || char === '\r') {
      if (char === '\r' && source[at + 1] === '\n') at++;
      endRow();
      if (rows.length >= options.maxRows) return rows;
    } else cell += char;
  }
  if (!options.cut && (cell !== '' || row.length > 0)) endRow();
  return rows;
}
