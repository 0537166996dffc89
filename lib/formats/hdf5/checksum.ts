/** Jenkins' lookup3 (hashlittle, 2006), which guards the newer metadata blocks of HDF5. */
export function lookup3(bytes: Uint8Array, initial = 0): number {
  let length = bytes.length;
  let a = (0xdeadbeef + length + initial) | 0;
  let b = a;
  let c = a;
  let at = 0;
  const word = (i: number): number => {
    let value = 0;
    for (let k = 0; k < 4; k++) value |= (bytes[at + i + k] ?? 0) << (8 * k);
    return value;
  };
  const rot = (x: number, k: number): number => (x << k) | (x >>> (32 - k));
  while (length > 12) {
    a = (a + word(0)) | 0;
    b = (b + word(4)) | 0;
    c = (c + word(8)) | 0;
    a = (((a - c) | 0) ^ rot(c, 4)) | 0;
    c = (c + b) | 0;
    b = (((b - a) | 0) ^ rot(a, 6)) | 0;
    a = (a + c) | 0;
    c = (((c - b) | 0) ^ rot(b, 8)) | 0;
    b = (b + a) | 0;
    a = (((a - c) | 0) ^ rot(c, 16)) | 0;
    c = (c + b) | 0;
    b = (((b - a) | 0) ^ rot(a, 19)) | 0;
    a = (a + c) | 0;
    c = (((c - b) | 0) ^ rot(b, 4)) | 0;
    b = (b + a) | 0;
    at += 12;
    length -= 12;
  }
  if (length === 0) return c >>> 0;
  // Bytes behind the end count as zero, so whole words may be added.
  a = (a + word(0)) | 0;
  b = (b + word(4)) | 0;
  c = (c + word(8)) | 0;
  c = ((c ^ b) - rot(b, 14)) | 0;
  a = ((a ^ c) - rot(c, 11)) | 0;
  b = ((b ^ a) - rot(a, 25)) | 0;
  c = ((c ^ b) - rot(b, 16)) | 0;
  a = ((a ^ c) - rot(c, 4)) | 0;
  b = ((b ^ a) - rot(a, 14)) | 0;
  c = ((c ^ b) - rot(b, 24)) | 0;
  return c >>> 0;
}

/** Fletcher's sum over 16-bit big-endian words, as the filter of that name stores behind a chunk. */
export function fletcher32(bytes: Uint8Array): number {
  let a = 0;
  let b = 0;
  const words = bytes.length >> 1;
  for (let i = 0; i < words; ) {
    // 360 additions stay below 2^32; then both sums are folded.
    for (const stop = Math.min(words, i + 360); i < stop; i++) {
      a += (bytes[2 * i]! << 8) | bytes[2 * i + 1]!;
      b += a;
    }
    a = (a & 0xffff) + (a >>> 16);
    b = (b & 0xffff) + (b >>> 16);
  }
  if (bytes.length & 1) {
    a += bytes[bytes.length - 1]! << 8;
    b += a;
    a = (a & 0xffff) + (a >>> 16);
    b = (b & 0xffff) + (b >>> 16);
  }
  a = (a & 0xffff) + (a >>> 16);
  b = (b & 0xffff) + (b >>> 16);
  return ((b << 16) | a) >>> 0;
}
