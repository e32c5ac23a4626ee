/**
 * `import … from 'node:http'` makes Node read every property of the module, one of which (`WebSocket`) loads its whole
 * fetch client: 80 ms and 10 MB that a server never needs. The module itself, without the namespace, costs a tenth of it.
 */
import http from 'node:http';
import type { Plugin } from 'rolldown';

const ID = '\0quick-http';

export function quickHttp(): Plugin {
  const plain = Object.entries(Object.getOwnPropertyDescriptors(http)).filter(
    ([, { get }]) => get === undefined,
  );
  return {
    name: 'quick-http',
    resolveId: {
      filter: { id: /^(node:)?http$/ },
      handler: (_source, _importer, { kind }) => (kind === 'import-statement' ? ID : null),
    },
    load: {
      filter: { id: /^\0quick-http$/ },
      handler: () =>
        [
          "const http = process.getBuiltinModule('node:http');",
          'export default http;',
          `export const { ${plain.map(([name]) => name).join(', ')} } = http;`,
        ].join('\n'),
    },
  };
}
