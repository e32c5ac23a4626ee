/** Characters that mean themselves in a pattern. */
const PLAIN = /[A-Za-z0-9 _\-/@:#~=,;!"'%&<>]/;

/**
 * Texts that every match of an RE2 pattern holds, as far as that is plain to see. Whoever looks for texts that match need look
 * at those only that hold all of them.
 */
export function requiredTexts(pattern: string): string[] {
  // Either of several, or flags that change what letters mean.
  if (pattern.includes('|') || pattern.includes('(?')) return [];
  const chars = [...pattern];
  const found: string[] = [];
  let current = '';
  const end = (): void => {
    if (current !== '') found.push(current);
    current = '';
  };
  for (const [at, char] of chars.entries()) {
    // What stands in groups, classes and escapes is read by others.
    if ('([{\\'.includes(char)) break;
    const next = chars[at + 1] ?? '';
    const optional = next === '*' || next === '?' || next === '{';
    if (PLAIN.test(char) && !optional) current += char;
    else end();
    if (next === '+') end();
  }
  end();
  return [...new Set(found)].slice(0, 5);
}
