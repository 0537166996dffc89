import { promises as fs } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type * as zlib from 'node:zlib';
import { ChainruleError } from '../errors.js';
import type { AnyArray } from '../ndarray.js';
import { writeAtomically } from './atomic_write.js';
import { ioError } from './io_error.js';
import { readSafetensors, type TensorFile, writeSafetensors } from './safetensors.js';

const pattern = /^checkpoint-(\d{12})\.safetensors$/;
const unfinished = /^\.checkpoint-\d{12}\.safetensors\..*\.tmp$/;
const lockName = 'lock';
const kept = 2;

/**
 * A folder of checkpoints, written by one process at a time: each is a file of its own that never changes, the newest
 * valid one counts, and the last two are kept. A kill at any moment leaves a valid one, once there was one.
 */
export class CheckpointFolder {
  private constructor(
    readonly path: string,
    private next: number,
  ) {}

  /** Makes the folder where it is missing and locks it against other processes. */
  static async open(path: string): Promise<CheckpointFolder> {
    try {
      await fs.mkdir(path, { recursive: true });
      await lock(path);
      const names = await fs.readdir(path);
      // What a killed process was writing.
      for (const name of names) if (unfinished.test(name)) await fs.unlink(join(path, name));
      const folder = new CheckpointFolder(path, Math.max(-1, ...names.map(numberOf)) + 1);
      await folder.prune();
      return folder;
    } catch (error) {
      throw ioError('write', path, error);
    }
  }

  /** The newest checkpoint whose content is whole. */
  async newest(): Promise<TensorFile | undefined> {
    const names = (await fs.readdir(this.path)).filter((name) => numberOf(name) >= 0).sort();
    for (const name of names.reverse()) {
      try {
        const file = readSafetensors(await fs.readFile(join(this.path, name)), name);
        if ((await checksum(file.tensors)) === file.metadata.get('crc32')) return file;
      } catch (error) {
        if (!(error instanceof ChainruleError) || error.code !== 'ERR_CHAINRULE_FORMAT') throw error;
      }
      process.emitWarning(`${join(this.path, name)} is damaged; an older checkpoint is used.`, 'ChainruleWarning');
    }
    return undefined;
  }

  async write({ tensors, metadata }: TensorFile): Promise<void> {
    const name = `checkpoint-${String(this.next++).padStart(12, '0')}.safetensors`;
    const sum = await checksum(tensors);
    const file = writeSafetensors({ tensors, metadata: new Map([...metadata, ['crc32', sum]]) });
    await writeAtomically(join(this.path, name), file);
    await this.prune();
  }

  private async prune(): Promise<void> {
    const names = (await fs.readdir(this.path)).filter((name) => numberOf(name) >= 0).sort();
    for (const name of names.slice(0, -kept)) await fs.unlink(join(this.path, name)).catch(() => {});
  }

  /** Lets others use the folder; `remove` deletes what is in it. */
  async close({ remove = false }: { remove?: boolean } = {}): Promise<void> {
    if (remove)
      for (const name of await fs.readdir(this.path)) {
        if (numberOf(name) >= 0) await fs.unlink(join(this.path, name)).catch(() => {});
      }
    await fs.unlink(join(this.path, lockName)).catch(() => {});
    // An empty folder goes, too; one with files of others stays.
    if (remove) await fs.rm(this.path, { recursive: false }).catch(() => {});
  }
}

function numberOf(name: string): number {
  const match = pattern.exec(name);
  return match ? Number(match[1]) : -1;
}

/** CRC-32 over the data of all tensors, in pieces that leave the event loop free. */
async function checksum(tensors: ReadonlyMap<string, AnyArray>): Promise<string> {
  const { crc32 } = require('node:zlib') as typeof zlib; // not before: starts do without
  const piece = 4 << 20;
  let sum = 0;
  for (const { data } of tensors.values()) {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    for (let at = 0; at < bytes.length; at += piece) {
      sum = crc32(bytes.subarray(at, at + piece), sum);
      if (bytes.length > piece) await nextTurn();
    }
  }
  return sum.toString(16);
}

/** Takes the lock file; one that a dead process left behind is taken over. */
async function lock(folder: string): Promise<void> {
  const path = join(folder, lockName);
  for (let attempt = 0; attempt < 10; attempt++) {
    try {
      const file = await fs.open(path, 'wx');
      await file.writeFile(`${process.pid} ${await startOf(process.pid)}`);
      await file.close();
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const owner = await fs.readFile(path, 'utf8').catch(() => '');
    if (await lives(owner)) throw locked(folder, owner);
    // Whoever renames it took it over; if another process was faster, that was its fresh lock: give it back.
    const aside = `${path}.${process.pid}`;
    await fs.rename(path, aside).catch(() => {});
    const taken = await fs.readFile(aside, 'utf8').catch(() => owner);
    if (taken === owner) await fs.unlink(aside).catch(() => {});
    else await fs.rename(aside, path).catch(() => {});
  }
  throw locked(folder, 'another process');
}

async function lives(owner: string): Promise<boolean> {
  const [pid, start] = owner.split(' ');
  if (!Number(pid)) return false;
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const now = await startOf(Number(pid));
  return now === '' || now === start;
}

/** When a process started, in clock ticks; process numbers are used again. Empty where /proc does not tell. */
async function startOf(pid: number): Promise<string> {
  const stat = await fs.readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

function locked(folder: string, owner: string): ChainruleError {
  return new ChainruleError(
    'ERR_CHAINRULE_CHECKPOINT_LOCKED',
    `${folder} is in use by process ${owner.split(' ')[0] || 'unknown'}; two trainings cannot share a checkpoint folder.`,
    { details: { folder } },
  );
}
