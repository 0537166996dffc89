import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { writeAtomically } from '../../lib/formats/atomic_write.js';
import { ZipReader } from '../../lib/formats/zip.js';
import { zipBytes } from '../../lib/formats/zip_writer.js';
import { zip } from './zip_bytes.js';

const folder = mkdtempSync(join(tmpdir(), 'chainrule-'));
let count = 0;
const fresh = (): string => join(folder, `${count++}.zip`);

async function read(content: Uint8Array, name: string, limit?: number): Promise<Uint8Array | undefined> {
  const path = fresh();
  writeFileSync(path, content);
  const archive = await ZipReader.open(path);
  try {
    return await archive.read(name, limit === undefined ? {} : { limit });
  } finally {
    await archive.close();
  }
}

const hello = Buffer.from('hello');
const zeros = Buffer.alloc(200_000);

test('stored and packed members are read', async () => {
  const text = Buffer.from('abc '.repeat(50));
  const content = zip([
    { name: 'a.txt', data: hello },
    { name: 'folder/b.txt', data: text, deflate: true },
    { name: 'empty', data: Buffer.alloc(0) },
  ]);
  expect(Buffer.from((await read(content, 'a.txt'))!).toString()).toBe('hello');
  expect(Buffer.from((await read(content, 'folder/b.txt'))!)).toEqual(text);
  expect(await read(content, 'empty')).toHaveLength(0);
  expect(await read(content, 'other')).toBeUndefined();
});

describe('refused as ERR_CHAINRULE_FORMAT', () => {
  const cases: Record<string, [content: Buffer, member: string, message: RegExp]> = {
    'two members of one name': [
      zip([
        { name: 'a', data: hello },
        { name: 'a', data: zeros },
      ]),
      'a',
      /two members have the name "a"/,
    ],
    'a name with ..': [zip([{ name: '../a', data: hello }]), '../a', /\.\./],
    'an absolute name': [zip([{ name: '/a', data: hello }]), '/a', /absolute|leaves/],
    'a backslash': [zip([{ name: 'a\\..\\b', data: hello }]), 'a', /characters|\\/],
    'a drive': [zip([{ name: 'c:/a', data: hello }]), 'c:/a', /absolute|leaves/],
    'a NUL in a name': [zip([{ name: 'a\0b', data: hello }]), 'a\0b', /impossible name/],
    'an endless name': [zip([{ name: 'a'.repeat(5000), data: hello }]), 'a', /impossible name/],
    'a link': [zip([{ name: 'a', data: hello, claim: { attributes: 0o120777 * 0x10000 } }]), 'a', /is a link/],
    encryption: [zip([{ name: 'a', data: hello, claim: { flags: 1 } }]), 'a', /encrypt|mismatch/],
    'another method': [zip([{ name: 'a', data: hello, claim: { method: 12 } }]), 'a', /method 12/],
    'a wrong checksum': [zip([{ name: 'a', data: hello, claim: { crc: 1 } }]), 'a', /wrong checksum/],
    'another name in front': [zip([{ name: 'a', data: hello, localName: 'b' }]), 'a', /two headers of "a" differ/],
    'a bomb': [zip([{ name: 'a', data: Buffer.alloc(10_000_000), deflate: true }]), 'a', /claims to grow/],
    'a member larger than it claims': [
      zip([{ name: 'a', data: zeros.subarray(0, 500), deflate: true, claim: { size: 200 } }]),
      'a',
      /./,
    ],
    'a member smaller than it claims': [
      zip([{ name: 'a', data: hello, deflate: true, claim: { size: 300 } }]),
      'a',
      /./,
    ],
    'a member beyond the end': [
      zip([{ name: 'a', data: hello, claim: { size: 5000, packed: 5000 } }]),
      'a',
      /overlap|bounds/,
    ],
    'overlapping members': [
      zip([
        { name: 'a', data: zeros },
        { name: 'b', data: zeros, claim: { offset: 0 } },
      ]),
      'a',
      /overlaps|differ/,
    ],
    'a member in the directory': [zip([{ name: 'a', data: hello }], { directoryShift: -3 }), 'a', /./],
    'bytes behind the end': [Buffer.concat([zip([{ name: 'a', data: hello }]), hello]), 'a', /comment length/],
    'a count that lies': [zip([{ name: 'a', data: hello }], { total: 3 }), 'a', /./],
    'no zip file': [Buffer.from('PK\x03\x04 but nothing else'), 'a', /./],
    nothing: [Buffer.alloc(0), 'a', /./],
  };
  test.each(Object.entries(cases))('%s', async (_, [content, member, message]) => {
    await expect(read(content, member)).rejects.toMatchObject({
      code: 'ERR_CHAINRULE_FORMAT',
      message: expect.stringMatching(message),
    });
  });

  test('a member above the limit of its reader', async () => {
    await expect(read(zip([{ name: 'a', data: zeros }]), 'a', 1000)).rejects.toThrow(/more than the 1000 allowed/);
  });

  test('a cut file', async () => {
    const whole = zip([
      { name: 'a', data: hello },
      { name: 'b', data: zeros.subarray(0, 300) },
    ]);
    for (let length = 0; length < whole.length; length += 5)
      await expect(read(whole.subarray(0, length), 'a')).rejects.toMatchObject({ code: 'ERR_CHAINRULE_FORMAT' });
  });

  test('a missing file is ERR_CHAINRULE_IO', async () => {
    await expect(ZipReader.open(join(folder, 'none.zip'))).rejects.toMatchObject({
      code: 'ERR_CHAINRULE_IO',
      details: { errno: 'ENOENT' },
    });
  });
});

describe('writing', () => {
  async function* twice(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(0, 3);
    yield bytes.subarray(3);
  }
  const members = [
    { name: 'metadata.json', size: 5, pieces: () => twice(hello) },
    { name: 'model.weights.h5', size: zeros.length, pieces: () => [zeros] },
    { name: 'empty', size: 0, pieces: () => [] },
  ];

  test('members are stored in order and read back', async () => {
    const path = fresh();
    await writeAtomically(path, zipBytes(members));
    const archive = await ZipReader.open(path);
    expect(archive.names()).toEqual(['metadata.json', 'model.weights.h5', 'empty']);
    expect(Buffer.from((await archive.read('metadata.json'))!)).toEqual(hello);
    expect(Buffer.from((await archive.read('model.weights.h5'))!)).toEqual(zeros);
    await archive.close();
    // Nothing is packed: the file is as large as its content.
    expect(readFileSync(path).length).toBeGreaterThan(zeros.length);
  });

  test('another program reads it', async (context) => {
    const path = fresh();
    await writeAtomically(path, zipBytes(members));
    try {
      const listed = execFileSync('python3', ['-m', 'zipfile', '-l', path]).toString();
      expect(listed).toMatch(/metadata\.json.*\n.*model\.weights\.h5.*200000/);
      execFileSync('python3', ['-m', 'zipfile', '-t', path]);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') context.skip();
      else throw error;
    }
  });

  test('a size that is not kept is an error, and no file is left', async () => {
    const path = fresh();
    writeFileSync(path, 'before');
    const wrong = [{ name: 'a', size: 10, pieces: () => [hello] }];
    await expect(writeAtomically(path, zipBytes(wrong))).rejects.toThrow();
    expect(readFileSync(path, 'utf8')).toBe('before');
  });

  test('an error while writing reaches the caller, and the old file is as it was', async () => {
    const path = fresh();
    writeFileSync(path, 'before');
    async function* fails(): AsyncGenerator<Uint8Array> {
      yield hello;
      throw new Error('no more');
    }
    await expect(writeAtomically(path, zipBytes([{ name: 'a', size: 10, pieces: fails }]))).rejects.toThrow('no more');
    expect(readFileSync(path, 'utf8')).toBe('before');
  });
});
