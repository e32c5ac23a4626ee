/** A command line as bash hands it over: one text, up to the cursor. */

export interface Line {
  /** The words, as the command would get them. The last one is being typed, and may be empty. */
  words: string[];
  /** The quote that is open at the cursor: `'` or `"`, or nothing. */
  quote: '' | "'" | '"';
  /** How much of the last word stands before what bash replaces: it splits words at its own break characters too. */
  kept: number;
}

/** @param breaks bash's COMP_WORDBREAKS */
export function readLine(text: string, breaks: string): Line {
  const words: string[] = [];
  let word = '';
  let started = false;
  let quote: Line['quote'] = '';
  let kept = 0;
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charAt(at);
    const next = text.charAt(at + 1);
    if (quote === "'") {
      if (char === "'") quote = '';
      else word += char;
    } else if (quote === '"') {
      if (char === '"') quote = '';
      else if (char === '\\' && next !== '' && '"\\$`'.includes(next)) {
        word += next;
        at += 1;
      } else word += char;
    } else if (char === "'" || char === '"') {
      quote = char;
      started = true;
      kept = word.length;
    } else if (char === '\\') {
      word += next;
      started = true;
      at += 1;
    } else if (char === ' ' || char === '\t') {
      if (started || word !== '') words.push(word);
      [word, started, kept] = ['', false, 0];
    } else {
      word += char;
      // These two it breaks before, and keeps (readline's rl_special_prefixes).
      if (breaks.includes(char)) kept = char === '@' || char === '$' ? word.length - 1 : word.length;
    }
  }
  words.push(word);
  return { words, quote, kept };
}

/** A value as it must be typed in bash, within the quote that is open. */
export function quoteForBash(value: string, quote: Line['quote']): string {
  if (quote === "'") return value.replaceAll("'", "'\\''");
  if (quote === '"') return value.replace(/["\\$`]/g, '\\$&');
  return value.replace(/[^\p{L}\p{N}_./:=@%+,^{}~-]|^[~#]/gu, '\\$&');
}
