/** In quotes, a placeholder, a list, LIKE, CROSS JOIN, or instr. */
const PIECE =
  /'(?:[^']|'')*'|"[^"]*"|\bIN \(SELECT value FROM json_each\(\?\)\)|\?|\bLIKE\b|\bCROSS JOIN\b|\binstr\(/g;

/** PostgreSQL's text of a question's SQL (`question.ts` says what differs). A list is bound as an array. */
export function postgresSql(sql: string): string {
  let bound = 0;
  return sql.replace(PIECE, (piece) => {
    if (piece === '?') return `$${++bound}`;
    if (piece === 'LIKE') return 'ILIKE';
    if (piece === 'CROSS JOIN') return 'JOIN';
    if (piece === 'instr(') return 'strpos(';
    return piece.startsWith('IN ') ? `= ANY($${++bound})` : piece;
  });
}
