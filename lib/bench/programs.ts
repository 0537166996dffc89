import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
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

/** The peers that this machine has, of those wanted (all when empty). device: where they compute, if not as ever on the CPU. */
export function findPeers(threads: number, wanted: readonly string[] = [], device?: string): Search {
  const search: Search = { found: [], missing: [] };
  if (!existsSync(FOLDER)) {
    search.missing.push('peers: the peer programs are not part of the published package');
    return search;
  }
  for (const [name, find] of Object.entries(FINDERS)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const programs = device && name !== 'torch' ? 'it is compared on the CPU only' : find(String(threads), device);
    if (typeof programs === 'string') search.missing.push(`${name}: not available: ${programs}`);
    else search.found.push(...programs);
  }
  return search;
}

const FINDERS: Readonly<Record<string, (threads: string, device?: string) => PeerProgram[] | string>> = {
  torch: (threads, device) => {
    const python = pythonWith('torch');
    if (typeof python === 'string') return python;
    if (device) return [{ name: 'torch', ...python, args: [join(FOLDER, 'torch_peer.py'), threads, device] }];
    const program = { name: 'torch', ...python, args: [join(FOLDER, 'torch_peer.py'), threads] };
    return [program, { ...program, env: KEEP_BLOCKS }];
  },
  'keras-jax': (threads) => {
    const python = pythonWith('keras', 'jax');
    if (typeof python === 'string') return python;
    return [{ name: 'keras-jax', ...python, args: [join(FOLDER, 'keras_peer.py'), threads] }];
  },
  jax: (threads) => {
    const python = pythonWith('jax');
    if (typeof python === 'string') return python;
    return [{ name: 'jax', ...python, args: [join(FOLDER, 'jax_peer.py'), threads] }];
  },
  'onnxruntime-node': (threads) => {
    const version = nodePackage('onnxruntime-node');
    const files = version && onnxFiles();
    if (!version)
      return 'CHAINRULE_PEER_NODE_MODULES names no node_modules with it (npm install --ignore-scripts onnxruntime-node)';
    if (typeof files === 'object') return files.problem;
    const args = [join(FOLDER, 'onnxruntime_peer.mjs'), threads, files!];
    return [{ name: 'onnxruntime-node', version, command: process.execPath, args }];
  },
};

export const peerNames: readonly string[] = Object.keys(FINDERS);

/** The first Python of CHAINRULE_PEER_PYTHON (several, parted by colons) that has all modules, or why there is none. */
function pythonWith(...modules: string[]): { command: string; version: string } | string {
  const pythons = (process.env.CHAINRULE_PEER_PYTHON ?? 'python3').split(':');
  const question = `from importlib.metadata import version; print(' '.join(map(version, ${JSON.stringify(modules)})))`;
  for (const command of pythons) {
    const found = spawnSync(command, ['-c', question], { encoding: 'utf8' });
    if (found.status === 0) return { command, version: found.stdout.trim() };
  }
  const names = modules.join(' ');
  return `${pythons.join(', ')} has no ${names} (pip install ${names}; CHAINRULE_PEER_PYTHON names its Python)`;
}

/** The version of a package in CHAINRULE_PEER_NODE_MODULES. */
function nodePackage(name: string): string | undefined {
  const file = join(process.env.CHAINRULE_PEER_NODE_MODULES ?? '', name, 'package.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version : undefined;
}

/** The folder with the ONNX files, written when there is none yet: that takes a minute. */
function onnxFiles(): string | { problem: string } {
  const folder = join(tmpdir(), 'chainrule-bench-onnx');
  if (existsSync(join(folder, 'complete'))) return folder;
  const python = pythonWith('torch', 'onnx', 'onnxscript');
  if (typeof python === 'string') return { problem: `its files cannot be written: ${python}` };
  const { status, stderr } = spawnSync(python.command, [join(FOLDER, 'onnx_files.py'), folder], { encoding: 'utf8' });
  return status === 0 ? folder : { problem: `its files cannot be written: ${stderr.trim().split('\n').at(-1) ?? ''}` };
}
