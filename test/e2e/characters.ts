import { type Table, unpack } from './sources.js';

/** A text as numbers: the distinct characters in the order of their codes. */
export class Characters {
  readonly vocabulary: number;
  readonly training: Int32Array;
  readonly validation: Int32Array;

  constructor(
    file: string,
    readonly context: number,
  ) {
    const text = unpack(file).toString('utf8');
    const known = [...new Set(text)].sort();
    const codes = new Map(known.map((character, code) => [character, code]));
    const all = Int32Array.from(text, (character) => codes.get(character)!);
    const cut = Math.floor(all.length * 0.9);
    this.vocabulary = known.length;
    this.training = all.subarray(0, cut);
    this.validation = all.subarray(cut);
  }

  /** Where the windows of training begin: spread by a multiplicative hash. */
  trainingStarts(count: number): number[] {
    const last = this.training.length - this.context;
    return Array.from({ length: count }, (_, k) => Math.floor((((k * 2654435761) % 2 ** 32) * last) / 2 ** 32));
  }

  /** Where the windows of an evaluation begin: at equal distances. */
  evenStarts(part: Int32Array, count: number): number[] {
    return Array.from({ length: count }, (_, k) => Math.floor((k * (part.length - this.context - 1)) / count));
  }

  /** Windows and, one character later, what is to be predicted. */
  windows(part: Int32Array, starts: readonly number[]): [inputs: Table, targets: Table] {
    const table = (offset: number): Table => ({
      data: Float32Array.from(
        starts.flatMap((start) => [...part.subarray(start + offset, start + offset + this.context)]),
      ),
      shape: [starts.length, this.context],
    });
    return [table(0), table(1)];
  }
}
