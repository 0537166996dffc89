import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The smoke tests go first: when the product is broken as a whole, that is the first thing to read. */
class TinyFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]) {
    const isTiny = (file: TestSpecification) => file.moduleId.endsWith('/test/tiny.test.ts');
    const sorted = await super.sort(files);
    return [...sorted.filter(isTiny), ...sorted.filter((file) => !isTiny(file))];
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.{ts,mts}'],
    // An addon with its own threads belongs in a process of its own, not in a worker of the test runner.
    pool: 'forks',
    sequence: { sequencer: TinyFirst },
    testTimeout: 30_000,
  },
});
