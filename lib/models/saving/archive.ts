import { promises as fs } from 'node:fs';
import type { Serialized } from '../../config.js';
import { ChainruleError } from '../../errors.js';
import { ioError } from '../../formats/io_error.js';
import type { ZipReader } from '../../formats/zip.js';

/** Names of the members of a `.keras` file, in Keras's order. */
export const members = {
  metadata: 'metadata.json',
  config: 'config.json',
  weights: 'model.weights.h5',
  assets: 'assets/',
};

const maxConfig = 64 * 2 ** 20;

/** What a file turns out to be, by its first bytes. */
export type FileKind = 'zip' | 'hdf5' | 'other';

/** Looks at the first bytes; a name proves nothing. */
export async function sniff(path: string): Promise<FileKind> {
  try {
    const file = await fs.open(path, 'r');
    try {
      const head = new Uint8Array(8);
      const { bytesRead } = await file.read(head, 0, 8, 0);
      const text = Buffer.from(head.subarray(0, bytesRead)).toString('latin1');
      if (text.startsWith('PK\x03\x04') || text.startsWith('PK\x05\x06')) return 'zip';
      return text === '\x89HDF\r\n\x1a\n' ? 'hdf5' : 'other';
    } finally {
      await file.close();
    }
  } catch (error) {
    throw ioError('read', path, error);
  }
}

/** Reads a whole file in pieces. */
export async function readWhole(path: string, signal?: AbortSignal): Promise<Uint8Array> {
  try {
    const file = await fs.open(path, 'r');
    try {
      const { size } = await file.stat();
      const content = new Uint8Array(size);
      for (let at = 0; at < size; ) {
        signal?.throwIfAborted();
        const { bytesRead } = await file.read(content, at, Math.min(4 * 2 ** 20, size - at), at);
        if (bytesRead === 0)
          throw new ChainruleError('ERR_CHAINRULE_FORMAT', `${path}: it became shorter while it was read.`);
        at += bytesRead;
      }
      return content;
    } finally {
      await file.close();
    }
  } catch (error) {
    throw ioError('read', path, error);
  }
}

/** An open `.keras` file. */
export class KerasArchive {
  private constructor(
    private readonly path: string,
    private readonly zip: ZipReader,
  ) {}

  static async open(path: string): Promise<KerasArchive> {
    const { ZipReader } = await import('../../formats/zip.js');
    return new KerasArchive(path, await ZipReader.open(path));
  }

  async config(signal?: AbortSignal): Promise<Serialized> {
    const content = await this.zip.read(members.config, { limit: maxConfig, signal });
    if (!content) throw this.broken(`it has no ${members.config}`);
    return parseDescription(content, `${this.path} (${members.config})`);
  }

  async weights(signal?: AbortSignal): Promise<Uint8Array> {
    const content = await this.zip.read(members.weights, { signal });
    if (content) return content;
    const other = this.zip.names().find((name) => name.startsWith('model.weights'));
    throw other
      ? this.broken(`its weights stand in ${other}; only ${members.weights} is read. Save it with weights_format="h5"`)
      : this.broken(`it has no ${members.weights}`);
  }

  /** Files of layers (vocabularies), by the path of their layer. */
  async assets(signal?: AbortSignal): Promise<Map<string, Map<string, Uint8Array>>> {
    const found = new Map<string, Map<string, Uint8Array>>();
    for (const name of this.zip.names()) {
      if (!name.startsWith(members.assets) || name.endsWith('/')) continue;
      const inner = name.slice(members.assets.length);
      const cut = inner.lastIndexOf('/');
      const folder = cut < 0 ? '' : inner.slice(0, cut);
      const files = found.get(folder) ?? new Map<string, Uint8Array>();
      files.set(inner.slice(cut + 1), (await this.zip.read(name, { signal }))!);
      found.set(folder, files);
    }
    return found;
  }

  close(): Promise<void> {
    return this.zip.close();
  }

  private broken(what: string): ChainruleError {
    return new ChainruleError('ERR_CHAINRULE_FORMAT', `${this.path}: ${what}.`);
  }
}

/** The JSON of a model's description, which must be an object with a class name and a config. */
export function parseDescription(content: Uint8Array | string, label: string): Serialized {
  const broken = (what: string): ChainruleError => new ChainruleError('ERR_CHAINRULE_FORMAT', `${label}: ${what}.`);
  let value: unknown;
  try {
    const text = typeof content === 'string' ? content : new TextDecoder('utf-8', { fatal: true }).decode(content);
    value = JSON.parse(text);
  } catch (error) {
    throw broken(`it is no JSON (${(error as Error).message})`);
  }
  const { class_name: name, config } = (value ?? {}) as Partial<Serialized>;
  // Keras 1 wrote a stack as the bare list of its layers.
  const listed = Array.isArray(config) && name !== 'Sequential';
  if (typeof name !== 'string' || typeof config !== 'object' || config === null || listed)
    throw broken('it describes no model: class_name and config are missing');
  return value as Serialized;
}
