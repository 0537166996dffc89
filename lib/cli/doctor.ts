import { statfsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ChainruleError } from '../errors.js';
import { loadAddon } from '../native-loader.js';
import { mappedLibraries, readFile, systemFacts } from './system.js';

interface Check {
  name: string;
  status: 'ok' | 'warning' | 'fault';
  found: string;
  /** What to do about it. */
  fix?: string;
}

/** `chainrule doctor`: checks this system and says how to mend it. Exit code 1 when something keeps Chainrule from running. */
export function command(args: string[]): number {
  const { values } = parseArgs({ args, options: { json: { type: 'boolean' } } });
  const checks = [node(), cpuLevel(), glibc(), addon(), openmp(), cores(), sharedMemory()];
  if (values.json) console.log(JSON.stringify(checks, null, 2));
  else console.log(checks.map(print).join('\n'));
  return checks.some(({ status }) => status === 'fault') ? 1 : 0;
}

function print({ name, status, found, fix }: Check): string {
  return `${status.padEnd(7)}  ${name}: ${found}${fix ? `\n         -> ${fix}` : ''}`;
}

function node(): Check {
  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
  const fits = major > 20 || (major === 20 && minor >= 19);
  return {
    name: 'Node',
    status: fits ? 'ok' : 'fault',
    found: process.version,
    ...(!fits && { fix: 'install Node 20.19 or newer' }),
  };
}

function cpuLevel(): Check {
  const flags = new Set(/^flags\s*:(.*)$/m.exec(readFile('/proc/cpuinfo'))?.[1]?.trim().split(' '));
  if (process.arch !== 'x64' || flags.size === 0) return { name: 'CPU', status: 'ok', found: process.arch };
  const missing = ['sse4_2', 'popcnt', 'ssse3'].filter((flag) => !flags.has(flag));
  const best = ['avx512f', 'avx2'].find((flag) => flags.has(flag)) ?? 'neither avx2 nor avx512f';
  if (missing.length > 0) {
    return {
      name: 'CPU',
      status: 'fault',
      found: `lacks ${missing.join(', ')}`,
      fix: 'Chainrule needs x86-64-v2; in a virtual machine, expose the host CPU (qemu: -cpu host)',
    };
  }
  return { name: 'CPU', status: 'ok', found: best };
}

function glibc(): Check {
  const { libc } = systemFacts();
  const [family, version = ''] = libc.split(' ');
  if (process.platform !== 'linux') return { name: 'libc', status: 'ok', found: process.platform };
  if (family === 'glibc' && version.localeCompare('2.34', 'en', { numeric: true }) >= 0) {
    return { name: 'libc', status: 'ok', found: libc };
  }
  return {
    name: 'libc',
    status: 'warning',
    found: libc,
    fix: 'the shipped binary needs glibc 2.34 (Debian 12, Ubuntu 22.04, RHEL 9); elsewhere: npx chainrule build-native',
  };
}

function addon(): Check {
  try {
    const { path, reason } = loadAddon();
    return { name: 'native addon', status: 'ok', found: `${path} (${reason})` };
  } catch (error) {
    if (!(error instanceof ChainruleError)) throw error;
    return { name: 'native addon', status: 'fault', found: error.message, fix: 'see the solutions above' };
  }
}

function openmp(): Check {
  const found = mappedLibraries(/lib(gomp|omp|iomp5)[.-]/);
  const list = found.join(', ') || 'none (the team runs on std::thread)';
  if (found.length < 2) return { name: 'OpenMP', status: 'ok', found: list };
  const fix = 'two OpenMP runtimes double the threads: load Chainrule first, or set OMP_NUM_THREADS';
  return { name: 'OpenMP', status: 'warning', found: list, fix };
}

function cores(): Check {
  const { hostCores, cpuQuota } = systemFacts();
  if (cpuQuota === null) return { name: 'cores', status: 'ok', found: `${hostCores}, no quota` };
  const found = `${hostCores} on the host, the container may use ${cpuQuota}`;
  if (cpuQuota >= 1) return { name: 'cores', status: 'ok', found };
  return { name: 'cores', status: 'warning', found, fix: 'give the container at least one CPU: --cpus=1' };
}

function sharedMemory(): Check {
  try {
    const { bsize, blocks } = statfsSync('/dev/shm');
    return { name: '/dev/shm', status: 'ok', found: `${Math.round((bsize * blocks) / 2 ** 20)} MiB` };
  } catch {
    return { name: '/dev/shm', status: 'ok', found: 'absent; Chainrule works without it' };
  }
}
