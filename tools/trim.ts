/**
 * What the libraries bring along and Waddle never runs. The bundle leaves it out: each entry says why it cannot be reached, and
 * what reaches it all the same is told so. The tests run on the whole libraries; `tools/check-package.ts` runs the bundle.
 */
import type { Plugin } from 'rolldown';

/** Modules, as they are asked for, and why nothing asks them anything. Node's own take the place of those that copy them. */
const LEFT_OUT: Record<string, string> = {
  '@fastify/ajv-compiler': 'requests are checked by src/server/validate.ts',
  '@fastify/fast-json-stringify-compiler': 'answers are written by JSON.stringify',
  'light-my-request': 'only tests ask a server without a socket',
  duplexify: 'only tests open a WebSocket without a socket',
  glob: 'files are served one by one, not found beforehand',
  semver: 'only compares the versions of Fastify and its plugins, which the bundle holds fast',
  yaml: 'the API document is JSON',
  // systeminformation: of which processor, memory and processes are asked for (src/runner/system-metrics.ts).
  './audio': 'not asked for',
  './battery': 'not asked for',
  './bluetooth': 'not asked for',
  './docker': 'not asked for',
  './filesystem': 'not asked for',
  './graphics': 'not asked for',
  './internet': 'not asked for',
  './network': 'not asked for',
  './osinfo': 'not asked for',
  './printer': 'not asked for',
  './system': 'not asked for',
  './usb': 'not asked for',
  './users': 'not asked for',
  './virtualbox': 'not asked for',
  './wifi': 'not asked for',
};
/** Answers "yes" to any question of whether a plugin and Fastify fit: both are in the bundle. */
const SEMVER = 'module.exports = { gt: () => false, coerce: (text) => text, satisfies: () => true };';

export function trim(): Plugin {
  const used = new Set<string>();
  return {
    name: 'trim',
    resolveId(source, importer) {
      if (source === 'readable-stream') return { id: 'node:stream', external: true };
      const reason = LEFT_OUT[source];
      if (reason === undefined || importer === undefined) return null;
      if (source.startsWith('./') && !/node_modules\/systeminformation\/lib\/\w+\.js$/.test(importer))
        return null;
      used.add(source);
      return { id: `\0left-out:${source}` };
    },
    load(id) {
      const source = id.startsWith('\0left-out:') ? id.slice('\0left-out:'.length) : undefined;
      if (source === undefined) return null;
      if (source === 'semver') return SEMVER;
      const error = `new Error(${JSON.stringify(`${source} is left out of Waddle's bundle: ${LEFT_OUT[source]}`)})`;
      const fail = `() => { throw ${error}; }`;
      // Whatever is taken from it fails when it is called, not before.
      return `module.exports = new Proxy(${fail}, { get: (_, name) => name === '__esModule' ? undefined : ${fail} });`;
    },
    transform(code, id) {
      if (id.endsWith('node_modules/string-width/index.js')) {
        // Made when it is first asked, not with the program: 10 ms of every command that never asks.
        const eager = 'const segmenter = new Intl.Segmenter();';
        if (!code.includes(eager))
          throw new Error('tools/trim.ts: string-width makes its segmenter otherwise');
        return code
          .replace(eager, 'let made; const segmenter = () => (made ??= new Intl.Segmenter());')
          .replaceAll('segmenter.segment(', 'segmenter().segment(');
      }
      if (!id.endsWith('node_modules/mime-db/db.json')) return null;
      // Only asked whether a type is worth compressing.
      const types = Object.entries(JSON.parse(code) as Record<string, { compressible?: boolean }>);
      const kept = types.filter(([, { compressible }]) => compressible === true);
      return JSON.stringify(Object.fromEntries(kept.map(([type]) => [type, { compressible: true }])));
    },
    buildEnd() {
      const unused = Object.keys(LEFT_OUT).filter((source) => !used.has(source));
      if (unused.length > 0) throw new Error(`tools/trim.ts names what is not there: ${unused.join(', ')}`);
    },
  };
}
