import { type FileBytes, undefinedAddress } from './bytes.js';
import { lookup3 } from './checksum.js';

export const signature = Buffer.from([0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]);

/** Reads the superblock (versions 0 to 3): sets the file's widths, returns the address of the root group's header. */
export function readSuperblock(file: FileBytes): number {
  const start = file.at(0, Math.min(8, file.size), 'the signature');
  if (file.size < 16 || Buffer.compare(start.bytes(8), signature) !== 0)
    throw file.broken('it does not begin with the HDF5 signature');
  const cursor = file.from(8, 'the superblock');
  const version = cursor.u8();
  if (version > 3) throw file.unsupported(`superblock version ${version}`);
  if (version < 2) return readOld(file, version);
  file.offsetSize = width(file, cursor.u8());
  file.lengthSize = width(file, cursor.u8());
  cursor.skip(1);
  checkBase(file, cursor.address());
  cursor.address(); // extension: hints for writers
  checkEnd(file, cursor.address());
  const root = cursor.address();
  if (lookup3(file.data.subarray(0, cursor.position)) !== cursor.u32())
    throw file.broken('the superblock has a wrong checksum');
  return root;
}

function readOld(file: FileBytes, version: number): number {
  const cursor = file.from(9, 'the superblock');
  cursor.skip(4); // versions of free space, root table, and of shared headers
  file.offsetSize = width(file, cursor.u8());
  file.lengthSize = width(file, cursor.u8());
  cursor.skip(1 + 4 + 4); // ranks of the trees: nodes say themselves how full they are
  if (version === 1) cursor.skip(4);
  checkBase(file, cursor.address());
  cursor.address(); // free space
  checkEnd(file, cursor.address());
  cursor.address(); // driver
  cursor.address(); // name of the root: none
  return cursor.address();
}

function width(file: FileBytes, value: number): number {
  if (value === 2 || value === 4 || value === 8) return value;
  throw file.broken(`addresses of ${value} bytes`);
}

function checkBase(file: FileBytes, base: number): void {
  if (base !== 0) throw file.unsupported('a block before the HDF5 data (user block)');
}

function checkEnd(file: FileBytes, end: number): void {
  if (end === undefinedAddress || end > file.size)
    throw file.broken(`it should have ${end} bytes, but has ${file.size}`);
}
