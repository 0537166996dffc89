// bfloat16 is the upper half of a float32.

/** The halves of numbers that bfloat16 holds exactly. */
export function narrowBfloat16(numbers: Float32Array): Uint16Array {
  const words = new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length);
  const halves = new Uint16Array(numbers.length);
  for (let i = 0; i < halves.length; i++) halves[i] = words[i]! >>> 16;
  return halves;
}

export function widenBfloat16(halves: Uint16Array): Float32Array {
  const words = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) words[i] = halves[i]! << 16;
  return new Float32Array(words.buffer);
}
