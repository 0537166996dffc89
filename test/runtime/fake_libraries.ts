import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// NVIDIA's libraries without NVIDIA: C files beside this one, compiled under the names that are looked for.

/** A folder that holds the library. */
export function fakeLibrary(name: string, source: string, ...flags: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'chainrule-fake-'));
  execFileSync('gcc', ['-O1', '-shared', '-fPIC', '-o', join(folder, name), join(__dirname, source), ...flags, '-lm']);
  return folder;
}
export const fakeCublasLt = (...flags: string[]): string =>
  fakeLibrary('libcublasLt.so.13', 'fake_cublas_lt.c', ...flags);
export const fakeCudnn = (...flags: string[]): string => fakeLibrary('libcudnn.so.9', 'fake_cudnn.c', ...flags);

/** The calls that a fake noted in a file, since the last look. */
export function callLog(path: string): () => string[] {
  let seen = 0;
  return () => {
    const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
    const fresh = lines.slice(seen);
    seen = lines.length;
    return fresh;
  };
}
