/** The licences of the libraries that a bundle carries, gathered into one file beside it: `THIRD-PARTY.txt`. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'rolldown';

interface Library {
  /** `name version (licence)`. */
  title: string;
  /** Who holds the copyright, a line each. */
  holders: string[];
  terms: string;
}

export function thirdParty(): Plugin {
  return {
    name: 'third-party',
    generateBundle(_options, bundle) {
      const folders = new Set<string>();
      for (const chunk of Object.values(bundle)) {
        if (chunk.type !== 'chunk') continue;
        for (const id of chunk.moduleIds) {
          const folder = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(id.replaceAll('\\', '/'))?.[0];
          if (folder !== undefined && !id.startsWith('\0')) folders.add(folder);
        }
      }
      const libraries = [...folders].map(libraryIn).sort((a, b) => (a.title < b.title ? -1 : 1));
      if (libraries.length === 0) return;
      this.emitFile({ type: 'asset', fileName: 'THIRD-PARTY.txt', source: written(libraries) });
    },
  };
}

function libraryIn(folder: string): Library {
  const about = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    name: string;
    version: string;
    license?: string;
    author?: string | { name: string };
  };
  const title = `${about.name} ${about.version} (${about.license ?? 'see below'})`;
  const file = readdirSync(folder).find((name) => /^licen[cs]e(\.(md|txt))?$/i.test(name));
  const author = typeof about.author === 'string' ? about.author : about.author?.name;
  if (file === undefined) {
    return { title, holders: [author ?? about.name], terms: `${about.license ?? 'unknown'} licence.` };
  }
  const lines = readFileSync(join(folder, file), 'utf8').split('\n');
  const holds = (line: string): boolean => /^\W*copyright (\(c\)|©|\d|[A-Z])/i.test(line.trim());
  const words = lines.filter((line) => !holds(line)).join('\n');
  return { title, holders: lines.filter(holds).map((line) => line.trim()), terms: words };
}

/** Libraries under the same words share one copy of them. */
function written(libraries: Library[]): string {
  const groups = Map.groupBy(libraries, ({ terms }) =>
    terms
      .toLowerCase()
      .replace(/[^a-z]+/g, ' ')
      .trim(),
  );
  const parts = [...groups.values()].map((group) => {
    const names = group.map(({ title, holders }) =>
      [title, ...holders.map((line) => `    ${line}`)].join('\n'),
    );
    return `${names.join('\n')}\n\n${group[0]?.terms.replace(/\n{2,}/g, '\n\n').trim() ?? ''}\n`;
  });
  const head = 'Waddle carries these libraries. What each of them is licensed under follows its name.\n';
  return [head, ...parts].join(`\n${'-'.repeat(80)}\n\n`);
}
