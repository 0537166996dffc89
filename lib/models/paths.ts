import { fileURLToPath } from 'node:url';
import { ChainruleError, shown } from '../errors.js';

/** Where a file lies: a path, or a file: URL as Node's own fs takes it (`new URL('m.keras', import.meta.url)`). */
export type FilePath = string | URL;

/** The path of what a caller gave; ERR_CHAINRULE_OPTION where it names no file. */
export function filePath(where: string, given: FilePath): string {
  if (typeof given === 'string' && given !== '') return given;
  if (given instanceof URL && given.protocol === 'file:') return fileURLToPath(given);
  const got =
    given instanceof URL
      ? `the URL ${given.protocol}//${given.host}…; of URLs, only those of files are opened`
      : seen(given);
  throw new ChainruleError('ERR_CHAINRULE_OPTION', `${where}: a file path is expected, got ${got}.`);
}

function seen(given: unknown): string {
  if (!ArrayBuffer.isView(given) && !(given instanceof ArrayBuffer)) return shown(given);
  return `a ${given.constructor.name} of ${given.byteLength} bytes; write it to a file first`;
}
