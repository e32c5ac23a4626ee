/**
 * Loaded before a Node job by `--require`, as CommonJS: makes `waddleml/client` resolve to the client beside this file where the job has
 * not installed it. A job that has its own copy keeps that.
 */
import * as nodeModule from 'node:module';

// Since Node 22.15; an older Node, and other programs that read NODE_OPTIONS, go without.
const { registerHooks } = nodeModule as Partial<typeof nodeModule>;
registerHooks?.({
  resolve(specifier, context, next) {
    if (specifier !== 'waddleml/client') return next(specifier, context);
    try {
      return next(specifier, context);
    } catch {
      return { url: new URL('./client.js', import.meta.url).href, shortCircuit: true };
    }
  },
});
