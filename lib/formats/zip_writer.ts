import type * as streams from 'node:stream';
import type * as yazl from 'yazl';

/** A member to be written: its name, its size, and its content in pieces. */
export interface ZipContent {
  name: string;
  size: number;
  pieces(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** The bytes of a zip file with these members, all stored, in this order: what Keras writes. */
export async function* zipBytes(members: readonly ZipContent[], date = new Date()): AsyncGenerator<Uint8Array> {
  // Not before: a start would take a few milliseconds more.
  const { ZipFile } = require('yazl') as typeof yazl;
  const { Readable } = require('node:stream') as typeof streams;
  const archive = new ZipFile();
  const output = archive.outputStream as streams.Readable;
  archive.on('error', (error: Error) => output.destroy(error));
  for (const { name, size, pieces } of members) {
    archive.addReadStreamLazy(name, { compress: false, size, mtime: date, mode: 0o100644 }, (done) => {
      const stream = Readable.from(pieces(), { objectMode: false, highWaterMark: 2 ** 18 });
      stream.on('error', (error) => output.destroy(error));
      done(null, stream);
    });
  }
  archive.end();
  yield* output as AsyncIterable<Uint8Array>;
}
