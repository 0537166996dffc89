import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type * as detectLibc from 'detect-libc';
import { ChainruleError } from './errors.js';

export interface LoadedAddon {
  /** What the addon exports; native.ts gives it its type. */
  addon: object;
  path: string;
  /** Why this file and no other, for `chainrule info`. */
  reason: string;
}

interface Candidate {
  path: string;
  reason: string;
  load: () => object;
}

const root = join(__dirname, '..');
const libc = process.platform === 'linux' ? libcOfNode() : '';
const target = `${process.platform}-${process.arch}`;
const binary = libc ? `chainrule.${libc}.node` : 'chainrule.node';

/** Where the binary of the package lies, and where `chainrule build-native` puts its own. */
export const prebuildPath = join(root, 'prebuilds', target, binary);

/** Finds and loads the addon: an explicit path, a developer's build, the binary that came with the package. */
export function loadAddon(): LoadedAddon {
  // An idle service must not spin; libgomp reads this once, when the addon brings it in.
  process.env.OMP_WAIT_POLICY ??= 'PASSIVE';
  const attempts: string[] = [];
  for (const { path, reason, load } of candidates()) {
    try {
      return { addon: load(), path, reason };
    } catch (error) {
      attempts.push(`  ${path} (${reason}): ${firstLine(error)}`);
    }
  }
  throw new ChainruleError('ERR_CHAINRULE_NATIVE_LOAD', explain(attempts), {
    details: { platform: process.platform, arch: process.arch, libc, node: process.version, attempts },
  });
}

function candidates(): Candidate[] {
  const explicit = process.env.CHAINRULE_BINARY;
  if (explicit) return [fromPath(resolve(explicit), 'CHAINRULE_BINARY')]; // who names a file wants that file or an error
  return [...developerBuilds(), prebuild()];
}

function developerBuilds(): Candidate[] {
  if (!process.env.CHAINRULE_DEV && !existsSync(join(root, '.git'))) return [];
  const paths = ['build/Release/chainrule.node', 'build-cmake/release/chainrule.node'].map((path) => join(root, path));
  return paths
    .filter((path) => existsSync(path))
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)
    .map((path) => fromPath(path, 'newest build in the working copy'));
}

function prebuild(): Candidate {
  const load = literalRequire[`${target}/${binary}`] ?? (() => require(prebuildPath));
  return { path: prebuildPath, reason: 'came with the package', load };
}

/** Bundlers follow only literal paths. */
const literalRequire: Record<string, () => object> = {
  'linux-x64/chainrule.glibc.node': () => require('../prebuilds/linux-x64/chainrule.glibc.node'),
};

function fromPath(path: string, reason: string): Candidate {
  return { path, reason, load: () => require(path) };
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n')[0]!;
}

/** A Node for musl is started by musl's loader. detect-libc brings in child_process: it is asked only where that lies. */
function libcOfNode(): string {
  const loader = { x64: 'x86_64', arm64: 'aarch64' }[process.arch as string];
  if (loader && !existsSync(`/lib/ld-musl-${loader}.so.1`)) return 'glibc';
  return libcDetection().familySync() ?? 'glibc';
}

function libcDetection(): typeof detectLibc {
  return require('detect-libc') as typeof detectLibc;
}

function explain(attempts: string[]): string {
  const system = [target, libc && `${libc} ${libcDetection().versionSync() ?? ''}`.trim(), `Node ${process.version}`];
  const help = process.env.CHAINRULE_BINARY
    ? ['- CHAINRULE_BINARY is set: correct the path, or unset it to use the binary of the package']
    : existsSync(join(root, 'binding.gyp'))
      ? ['- in a working copy, build the addon: npm run build']
      : [
          '- install again, so that the binaries come along: npm install chainrule',
          '- where no binary is shipped for a system (musl, arm64, macOS, Windows), build it: npx chainrule build-native',
        ];
  return [
    `could not load the native addon on ${system.filter(Boolean).join(', ')}`,
    'Tried:',
    ...attempts,
    'Possible solutions:',
    ...help,
    '- see what is missing: npx chainrule doctor',
  ].join('\n');
}
