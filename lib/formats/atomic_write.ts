import type * as crypto from 'node:crypto';
import { promises as fs } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ioError } from './io_error.js';

/**
 * Writes a file so that its path holds the old content or the new one, never a part: temporary file, fsync, rename,
 * fsync of the folder. A disk that is full or a missing permission is ERR_CHAINRULE_IO, and the old file is as it was.
 */
export async function writeAtomically(
  path: string,
  content: Uint8Array | AsyncIterable<Uint8Array>,
  { signal, overwrite = true }: { signal?: AbortSignal | undefined; overwrite?: boolean } = {},
): Promise<void> {
  try {
    await write(path, content, signal, overwrite);
  } catch (error) {
    throw ioError('write', path, error);
  }
}

async function write(
  path: string,
  content: Uint8Array | AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
  overwrite: boolean,
): Promise<void> {
  const { randomBytes } = require('node:crypto') as typeof crypto; // not before: starts do without
  const { target, mode } = await resolve(path);
  const folder = dirname(target);
  const temporary = join(folder, `.${basename(target)}.${randomBytes(6).toString('hex')}.tmp`);
  const file = await fs.open(temporary, 'wx', mode);
  try {
    try {
      if (content instanceof Uint8Array) await file.writeFile(content);
      else
        for await (const piece of content) {
          signal?.throwIfAborted();
          await file.writeFile(piece);
        }
      await file.sync();
    } finally {
      await file.close();
    }
    signal?.throwIfAborted();
    if (overwrite) await fs.rename(temporary, target);
    else {
      // Unlike rename, a second name is refused where there is a file.
      await fs.link(temporary, target);
      await fs.unlink(temporary);
    }
  } catch (error) {
    await fs.unlink(temporary).catch(() => {});
    throw error;
  }
  const handle = await fs.open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A link is followed, so that the file behind it is replaced; devices and folders are left alone. */
async function resolve(path: string): Promise<{ target: string; mode?: number }> {
  let target: string;
  try {
    target = await fs.realpath(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { target: path };
    throw error;
  }
  const found = await fs.lstat(target);
  if (found.isFile()) return { target, mode: found.mode & 0o777 };
  throw Object.assign(new Error(`it is ${found.isDirectory() ? 'a folder' : 'no regular file'}`), {
    code: found.isDirectory() ? 'EISDIR' : 'EINVAL',
  });
}
