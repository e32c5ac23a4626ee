/** What a collector tells of its work: a line a request, for people or for machines. */

export type LogFormat = 'json' | 'text';

export interface LogEntry {
  level: 'info' | 'warn' | 'error';
  message: string;
  [field: string]: unknown;
}

export type Log = (entry: LogEntry) => void;

export function makeLog(format: LogFormat, write: (line: string) => void): Log {
  return ({ level, message, ...fields }) => {
    const time = new Date().toISOString();
    const told = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null);
    if (format === 'json') {
      write(`${JSON.stringify({ time, level, message, ...Object.fromEntries(told) })}\n`);
      return;
    }
    const rest = told.map(([name, value]) => ` ${name}=${quoted(value)}`).join('');
    write(`${time} ${level === 'info' ? '' : `${level}: `}${message}${rest}\n`);
  };
}

/** Nothing that somebody sent may forge a line. */
function quoted(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return /^[\w./:@-]+$/.test(text) ? text : JSON.stringify(text);
}
