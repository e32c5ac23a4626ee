/** What a reader of a long log looks for, a line each, after everything else: the tests that failed, and those that needed a second try. */
import type { Reporter, TestCase, TestModule } from 'vitest/node';

export default class LastLines implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const lines: string[] = [];
    for (const module of modules) {
      if (module.errors().length > 0) lines.push(`FAILED TEST FILE: ${module.relativeModuleId}`);
      for (const test of module.children.allTests('failed'))
        lines.push(`FAILED TEST: ${nameOf(module, test)}`);
      for (const test of module.children.allTests('passed')) {
        if (test.diagnostic()?.flaky === true) lines.push(`SECOND TRY: ${nameOf(module, test)}`);
      }
    }
    if (errors.length > 0) lines.push(`FAILED TEST: ${errors.length} errors outside of any test`);
    process.stdout.write(lines.map((line) => `${line}\n`).join(''));
  }
}

function nameOf(module: TestModule, test: TestCase): string {
  return `${module.relativeModuleId} > ${test.fullName}`;
}
