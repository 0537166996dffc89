import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

test.skipIf(process.platform !== 'linux')(
  'blocks of a pool never overlap, rest, grow together and go back',
  () => {
    const root = join(__dirname, '../..');
    const program = join(mkdtempSync(join(tmpdir(), 'chainrule-pool-')), 'pool');
    const sources = [join(__dirname, 'memory_pool.cpp'), join(root, 'native/cuda/memory_pool.cpp')];
    const checks = process.env.LD_PRELOAD ? [] : ['-D_GLIBCXX_ASSERTIONS', '-fsanitize=undefined'];
    execFileSync('g++', ['-std=c++20', '-O1', ...checks, `-I${join(root, 'native')}`, ...sources, '-o', program]);
    expect(execFileSync(program, { encoding: 'utf8' })).toBe('passed\n');
  },
  120_000,
);
