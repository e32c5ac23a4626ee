/** What the manual's pages tell people to type, for tests that do exactly that. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './sandbox.ts';

/** The block of code that follows `<!-- name -->` on a page, without its fences. */
export function pageBlock(page: string, name: string): string {
  const text = readFileSync(join(ROOT, page), 'utf8');
  const block = new RegExp(`<!-- ${name} -->\\n\`\`\`\\w*\\n([\\s\\S]*?)\`\`\``).exec(text)?.[1];
  if (block === undefined) throw new Error(`${page} has no block ${name}`);
  return block;
}
