import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // An addon with its own threads belongs in a process of its own, not in a worker of the test runner.
    pool: 'forks',
    testTimeout: 30_000,
  },
});
