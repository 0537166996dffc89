import { ChainruleError } from '../errors.js';

const reasons: Record<string, string> = {
  ENOENT: 'there is no such file or folder',
  ENOTDIR: 'a part of the path is no folder',
  EEXIST: 'the file exists, and overwrite is false',
  EISDIR: 'it is a folder',
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file would be too large',
  EIO: 'the disk reports an error',
  EMFILE: 'too many open files',
};

/** What the system said, as ERR_CHAINRULE_IO; errors of ours and reasons of an abort stay as they are. */
export function ioError(action: 'read' | 'write', path: string, error: unknown): unknown {
  const { code, message } = (error ?? {}) as NodeJS.ErrnoException;
  if (error instanceof ChainruleError || typeof code !== 'string' || !/^E[A-Z0-9]+$/.test(code)) return error;
  const kept = action === 'write' ? ' A file that was there before is unchanged.' : '';
  return new ChainruleError(
    'ERR_CHAINRULE_IO',
    `cannot ${action} ${path}: ${reasons[code] ?? message} (${code}).${kept}`,
    { details: { path, errno: code }, cause: error },
  );
}
