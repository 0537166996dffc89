import { readFileSync } from 'node:fs';
import os from 'node:os';
import { familySync, versionSync } from 'detect-libc';

/** What the machine and the container give this process. */
export interface SystemFacts {
  platform: string;
  arch: string;
  libc: string;
  node: string;
  cpu: string;
  hostCores: number;
  /** CPUs that the container's quota allows, where there is one; libuv of Node 20 ignores it. */
  cpuQuota: number | null;
  memoryBytes: number;
  memoryLimitBytes: number | null;
}

export function systemFacts(): SystemFacts {
  const limit = Number(readLine('/sys/fs/cgroup/memory.max'));
  return {
    platform: process.platform,
    arch: process.arch,
    libc: process.platform === 'linux' ? `${familySync() ?? 'unknown'} ${versionSync() ?? ''}`.trim() : 'none',
    node: process.version,
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    hostCores: os.cpus().length,
    cpuQuota: cpuQuota(readLine('/sys/fs/cgroup/cpu.max')),
    memoryBytes: os.totalmem(),
    memoryLimitBytes: limit > 0 ? limit : null,
  };
}

/** `max 100000` or `150000 100000`: microseconds of CPU in a period of microseconds. */
export function cpuQuota(line: string): number | null {
  const [quota, period] = line.split(' ').map(Number);
  return quota && period ? quota / period : null;
}

/** The libraries of a name that are mapped into this process: two OpenMP runtimes in one process fight for the cores. */
export function mappedLibraries(name: RegExp): string[] {
  const paths = readFile('/proc/self/maps').match(/\/\S+$/gm) ?? [];
  return [...new Set(paths.filter((path) => name.test(path)))];
}

export function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // another system, or a container that hides the file
  }
}

function readLine(path: string): string {
  return readFile(path).trim();
}
