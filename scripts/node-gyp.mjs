// Runs node-gyp with Node's own headers when they are installed, so that a build needs no download.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';

/** The environment for node-gyp and whoever calls it; a `nodedir` that somebody set wins. */
export function gypEnvironment() {
  const prefix = dirname(dirname(process.execPath));
  const jobs = process.env.JOBS ?? String(Math.min(availableParallelism(), 8));
  const env = { ...process.env, JOBS: jobs };
  if (!env.npm_config_nodedir && existsSync(join(prefix, 'include/node/node_api.h'))) env.npm_config_nodedir = prefix;
  return env;
}

export function nodeGyp(...args) {
  const bin = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
  const { status } = spawnSync(process.execPath, [bin, ...args], { stdio: 'inherit', env: gypEnvironment() });
  if (status !== 0) process.exit(status ?? 1);
}
