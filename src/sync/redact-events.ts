/** Events without the secrets in them: what `secret-scan.ts` finds, this takes out. */
import { encodeEvent, parseLine, stringifyExactJson } from '../events/line.ts';
import type { Event } from '../events/schema.ts';
import { isSecretName, looksRandom, REDACTED, redactText } from './secret-patterns.ts';

/** A line of a private key's middle. */
const OF_KEY = /^[A-Za-z0-9+/=\s]*$/;

export class EventRedactor {
  readonly #change: (event: Event) => Event;
  /** Streams of the console in which a private key has begun and not ended. */
  readonly #inKey = new Set<number>();

  /** @param change what else is to be other in each event */
  constructor(change: (event: Event) => Event) {
    this.#change = change;
  }

  /** A line of a journal, without its newline; gives the line to write, with it. */
  line(text: string): string {
    const parsed = parseLine(text);
    if (parsed.type !== 'event') return `${redactText(text)}\n`;
    const event = this.#change(this.#event(parsed.event));
    return event.k === 'm' ? encodeEvent(event) : `${stringifyExactJson(event)}\n`;
  }

  #event(event: Event): Event {
    switch (event.k) {
      case 'm':
      case 'open':
      case 'close':
      case 'snapshot':
        return event;
      case 'c':
        return { ...event, x: this.#console(event.o, event.x) };
      case 'param':
        return { ...event, value: redactValue(event.value, event.key, true) };
      case 'tag':
        return { ...event, value: redactValue(event.value, event.key, true) as string };
      case 'start':
      case 'resume': {
        const redacted = redactValue(event, '', false) as typeof event;
        if (redacted.argv) redacted.argv = redactArguments(redacted.argv);
        if (redacted.command) redacted.command = redactArguments(redacted.command);
        return redacted;
      }
      default:
        return redactValue(event, '', false) as Event;
    }
  }

  /** A private key that is printed has one line after the other. */
  #console(stream: number, text: string): string {
    const ends = /-----END [A-Z ]*PRIVATE KEY/.test(text);
    if (this.#inKey.has(stream)) {
      if (ends || !OF_KEY.test(text)) this.#inKey.delete(stream);
      if (ends || OF_KEY.test(text)) return REDACTED;
    }
    if (/-----BEGIN [A-Z ]*PRIVATE KEY/.test(text) && !ends) this.#inKey.add(stream);
    return redactText(text);
  }
}

/** @param named whether a name may be what makes a value a secret, as of params */
function redactValue(value: unknown, path: string, named: boolean): unknown {
  if (typeof value === 'string') {
    return named && isSecretName(path) && looksRandom(value, 3) ? REDACTED : redactText(value);
  }
  if (Array.isArray(value)) return value.map((item, index) => redactValue(item, `${path}.${index}`, named));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      redactValue(item, path === '' ? key : `${path}.${key}`, named),
    ]),
  );
}

/** Arguments of which only together it can be told that one is a secret, as of `--token X`. */
function redactArguments(args: readonly string[]): string[] {
  const redacted = [...args];
  for (let index = 1; index < redacted.length; index += 1) {
    const pair = `${redacted[index - 1]} ${redacted[index]}`;
    if (redactText(pair) !== pair) redacted[index] = REDACTED;
  }
  return redacted;
}
