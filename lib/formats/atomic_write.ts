import { open, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

let count = 0;

/** Writes a file so that its path holds the old content or the new one, never a part: temporary file, fsync, rename, fsync of the folder. */
export async function writeAtomically(path: string, content: Uint8Array): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${process.pid}.${count++}.tmp`);
  try {
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
