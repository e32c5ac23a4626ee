/** What tokens and keys look like. */

export interface FoundSecret {
  kind: string;
  /** Its beginning, enough to find it by; never all of it. */
  shown: string;
  /** Place of the first character in the text, and how many characters it has. */
  at: number;
  length: number;
}

/** What stands where a secret was. */
export const REDACTED = '[redacted]';

/** Formats that say themselves what they are. What stands before and after must not be a part of it. */
const FORMATS: readonly [kind: string, pattern: RegExp][] = [
  ['private key', /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----/g],
  ['AWS access key', /(?<![A-Za-z0-9])(?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Za-z])/g],
  ['GitHub token', /(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{36,255}/g],
  ['GitHub token', /(?<![A-Za-z0-9])github_pat_[A-Za-z0-9_]{22,255}/g],
  ['GitLab token', /(?<![A-Za-z0-9])glpat-[\w-]{20,}/g],
  ['Slack token', /(?<![A-Za-z0-9])xox[abeprs]-[A-Za-z0-9-]{10,}/g],
  ['Slack webhook', /hooks\.slack\.com\/services\/T\w+\/B\w+\/\w{16,}/g],
  ['Google API key', /(?<![\w-])AIza[\w-]{35}(?![\w-])/g],
  ['Google OAuth secret', /(?<![\w-])GOCSPX-[\w-]{28}/g],
  ['API key (sk-…)', /(?<![\w-])sk-(?:proj-|svcacct-|ant-[a-z0-9]+-)?[\w-]{20,}/g],
  ['Stripe key', /(?<![A-Za-z0-9])[rs]k_live_[A-Za-z0-9]{20,}/g],
  ['Hugging Face token', /(?<![A-Za-z0-9])hf_[A-Za-z0-9]{30,}/g],
  ['npm token', /(?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}/g],
  ['PyPI token', /(?<![A-Za-z0-9])pypi-AgE[\w-]{50,}/g],
  ['JWT', /(?<![\w-])eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}/g],
];

/** Only one of these in a text makes the formats worth a look. */
const HINTS =
  /PRIVATE KEY|AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|hooks\.slack|AIza|GOCSPX-|sk-|k_live_|hf_|npm_|pypi-|eyJ/;

const NAMES = '(?:pass(?:word|wd|phrase)?|secret|token|api_?-?key|access_?-?key|auth_?-?key|credentials?)';
/** `password = "…"`, `"api_key": "…"`; and in the way of shells and .env files, `API_KEY=…`. */
const ASSIGNED = new RegExp(
  `(?<![A-Za-z])(?:\\w*[_.-])?${NAMES}["']?\\s*(?::|=|=>|:=)\\s*["']([^"'\\s]{12,200})["']`,
  'gi',
);
const EXPORTED = new RegExp(
  `(?:^|\\s)(?:export\\s+)?(?:[A-Z0-9]+_)*${NAMES.toUpperCase()}=([^"'\\s$]{16,200})`,
  'gm',
);
const FLAG = new RegExp(`--(?:[a-z0-9]+-)*${NAMES}[ =]([^"'\\s$-][^"'\\s]{15,200})`, 'g');
/** A password in an address. */
const ADDRESS = /\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@"']+:([^\s/@"']{8,200})@[\w.-]+/g;

/** Whether a name is one that secrets are given to. */
export function isSecretName(name: string): boolean {
  return new RegExp(`(?:^|[^A-Za-z])${NAMES}$|[a-z](?:Token|Secret|Password|ApiKey)$`, 'i').test(name);
}

/** Everything in a text that looks like a secret, in order. */
export function findSecrets(text: string): FoundSecret[] {
  const found: FoundSecret[] = [];
  const note = (kind: string, secret: string, at: number): void => {
    if (found.some((each) => Math.abs(each.at - at) < secret.length)) return;
    const shown = `${secret.slice(0, Math.min(6, Math.floor(secret.length / 3)))}…`;
    found.push({ kind, shown, at, length: secret.length });
  };
  if (HINTS.test(text)) {
    for (const [kind, pattern] of FORMATS) {
      for (const match of text.matchAll(pattern)) {
        const [secret] = match;
        if (kind !== 'private key' && isPlaceholder(secret)) continue;
        if (kind.startsWith('API key') && !looksRandom(secret.slice(3), 3.5)) continue;
        note(kind, secret, match.index);
      }
    }
  }
  if (/pass|secret|token|key|credential|:\/\//i.test(text)) {
    for (const pattern of [ASSIGNED, EXPORTED, FLAG, ADDRESS]) {
      for (const match of text.matchAll(pattern)) {
        const secret = match[1] ?? '';
        if (looksRandom(secret, 3.3))
          note('password or token', secret, match.index + match[0].indexOf(secret));
      }
    }
  }
  return found.sort((a, b) => a.at - b.at);
}

/** Whether a value is more likely drawn by chance than written by a person: letters and digits without a word in sight. */
export function looksRandom(value: string, bits: number): boolean {
  if (isPlaceholder(value) || !/\d/.test(value) || !/[A-Za-z]/.test(value)) return false;
  // Names, paths, versions, dates and calls.
  if (/^[\w-]*\/[\w./-]*$/.test(value) && value.split('/').length > 2 && !/[+=]/.test(value)) return false;
  if (/[()[\]{}<>]/.test(value) || /^v?\d+(?:\.\d+)+/.test(value)) return false;
  const words = value.split(/[^A-Za-z]+|(?<=[a-z])(?=[A-Z])/).filter((word) => word.length >= 4);
  const spelled = words.filter((word) => /^[A-Z]?[a-z]+$|^[A-Z]+$/.test(word) && /[aeiouy]/i.test(word));
  if (spelled.join('').length > value.length * 0.6) return false;
  return entropy(value) >= bits;
}

function isPlaceholder(value: string): boolean {
  return /example|placeholder|your|change_?me|xxxx|0000000|1234567|abcdefg|\*\*\*|\.\.\.|<|\$\{|redacted|dummy/i.test(
    value,
  );
}

/** Bits a character, by how often each comes. */
function entropy(value: string): number {
  const counts = new Map<string, number>();
  for (const char of value) counts.set(char, (counts.get(char) ?? 0) + 1);
  let bits = 0;
  for (const many of counts.values()) bits -= (many / value.length) * Math.log2(many / value.length);
  return bits;
}

/** From the beginning of a private key to its end, or where that is elsewhere to the end of the text. */
const KEY_BLOCK =
  /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----|$)/g;

/** The text without everything that `findSecrets` finds in it. */
export function redactText(text: string): string {
  let left = text.replaceAll(KEY_BLOCK, REDACTED);
  // Of two that are close together, one is found at a time.
  for (let found = findSecrets(left); found.length > 0; found = findSecrets(left)) {
    for (const { at, length } of found.reverse()) {
      left = left.slice(0, at) + REDACTED + left.slice(at + length);
    }
  }
  return left;
}
