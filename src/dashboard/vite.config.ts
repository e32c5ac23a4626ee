import { defineConfig, type Plugin } from 'vite';

/** The page's code is fetched beside the few lines that start it (`early.ts`), not after them. */
const preloadMain: Plugin = {
  name: 'preload-main',
  transformIndexHtml: {
    order: 'post',
    handler: (html, { bundle }) => {
      const main = Object.values(bundle ?? {}).find(
        (file) => file.type === 'chunk' && file.facadeModuleId?.endsWith('/main.tsx') === true,
      );
      const files =
        main?.type === 'chunk' ? [main.fileName, ...main.imports.filter((name) => !html.includes(name))] : [];
      return files.map((file) => ({
        tag: 'link',
        attrs: { rel: 'modulepreload', crossorigin: true, href: `/${file}` },
        injectTo: 'head',
      }));
    },
  },
};

/** The page, built into `dist/dashboard/` by `tools/build.ts`, which says where to. */
export default defineConfig({
  root: import.meta.dirname,
  base: '/',
  publicDir: false,
  clearScreen: false,
  logLevel: 'warn',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  plugins: [preloadMain],
  worker: { format: 'es' },
  build: {
    target: 'es2023',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    emptyOutDir: true,
  },
  server: { proxy: { '/api': 'http://127.0.0.1:8080', '/ws': { target: 'ws://127.0.0.1:8080', ws: true } } },
});
