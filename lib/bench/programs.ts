import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { PeerProgram } from './peers.js';

const FOLDER = join(__dirname, '../../scripts/peers');

/** glibc keeps big blocks instead of giving them back: fresh results then cost no page faults. */
const KEEP_BLOCKS = {
  MALLOC_MMAP_MAX_: '0',
  MALLOC_TRIM_THRESHOLD_: '17179869184',
  MALLOC_TOP_PAD_: '268435456',
};

interface Search {
  found: PeerProgram[];
  /** `name: why not` */
  missing: string[];
}

/** The peers that this machine has, of those wanted (all when empty). */
export function findPeers(threads: number, wanted: readonly string[] = []): Search {
  const search: Search = { found: [], missing: [] };
  if (!existsSync(FOLDER)) {
    search.missing.push('peers: the peer programs are not part of the published package');
    return search;
  }
  for (const [name, find] of Object.entries(FINDERS)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const programs = find(String(threads));
    if (typeof programs === 'string') search.missing.push(`${name}: not available: ${programs}`);
    else search.found.push(...programs);
  }
  return search;
}

const FINDERS: Readonly<Record<string, (threads: string) => PeerProgram[] | string>> = {
  torch: (threads) => {
    const python = pythonWith('torch');
    if (typeof python === 'string') return python;
    const program = { name: 'torch', ...python, args: [join(FOLDER, 'torch_peer.py'), threads] };
    return [program, { ...program, env: KEEP_BLOCKS }];
  },
};

export const peerNames: readonly string[] = Object.keys(FINDERS);

/** The first Python of CHAINRULE_PEER_PYTHON (several, parted by colons) that has a module, or why there is none. */
function pythonWith(module: string): { command: string; version: string } | string {
  const pythons = (process.env.CHAINRULE_PEER_PYTHON ?? 'python3').split(':');
  for (const command of pythons) {
    const found = spawnSync(
      command,
      ['-c', `from importlib.metadata import version; print(version(${JSON.stringify(module)}))`],
      { encoding: 'utf8' },
    );
    if (found.status === 0) return { command, version: found.stdout.trim() };
  }
  return `${pythons.join(', ')} has no ${module} (pip install ${module}; CHAINRULE_PEER_PYTHON names its Python)`;
}
