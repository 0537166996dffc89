import { readFileSync } from 'node:fs';
import { ChainruleError } from '../../errors.js';
import { type StringArray, stringsNow } from '../../strings.js';

/** What a lookup says about its vocabulary. */
interface Rules<T> {
  integers: boolean;
  invert: boolean;
  maskToken: T | null;
  oovToken: T | null;
  maxTokens: number | undefined;
}

/** What is wrong with the tokens of a vocabulary that special ones may lead, or nothing. */
export function misfit<T>(
  { integers, invert, maskToken, oovToken, maxTokens }: Rules<T>,
  vocabulary: readonly T[],
  tokens: readonly T[],
  special: readonly T[],
): string | undefined {
  if (vocabulary.length === 0) return 'the vocabulary is empty.';
  const bad = tokens.findIndex((token) => (integers ? !Number.isSafeInteger(token) : typeof token !== 'string'));
  if (bad >= 0)
    return `token ${bad} of the vocabulary is ${String(tokens[bad])}, ${integers ? 'an integer' : 'a string'} is expected.`;
  const seen = new Set<T>();
  for (const token of tokens) {
    if (seen.has(token)) return `the vocabulary holds ${JSON.stringify(token)} twice; tokens must be unique.`;
    seen.add(token);
  }
  const place = `It does not belong into the vocabulary, or leads it with all special tokens: ${JSON.stringify(special)}.`;
  if (maskToken !== null && seen.has(maskToken))
    return `the mask token ${JSON.stringify(maskToken)} stands in the middle of the vocabulary. ${place}`;
  if (invert && oovToken !== null && seen.has(oovToken))
    return `the OOV token ${JSON.stringify(oovToken)} stands in the middle of the vocabulary. ${place}`;
  const size = special.length + tokens.length;
  return maxTokens !== undefined && size > maxTokens
    ? `the vocabulary has ${size} tokens with the special ones, more than maxTokens ${maxTokens}.`
    : undefined;
}

/** The lines of a text file. */
export function readVocabulary(path: string, layer: string): StringArray {
  try {
    const lines = readFileSync(path, 'utf8').split('\n');
    if (lines.at(-1) === '') lines.pop();
    return stringsNow(lines, `${layer}: vocabulary`);
  } catch (error) {
    throw new ChainruleError(
      'ERR_CHAINRULE_IO',
      `${path}: the vocabulary cannot be read: ${(error as Error).message}`,
      {
        details: { path },
        cause: error,
      },
    );
  }
}

/** The lines of a vocabulary in a model file. */
export function savedLines(file: Uint8Array): string[] {
  const lines = new TextDecoder('utf-8', { ignoreBOM: true }).decode(file).split('\n');
  while (lines.at(-1) === '') lines.pop();
  return lines;
}

/** Weights by id: behind `front` special tokens, which weigh the mean of all, as tokens that were never seen do. */
export function idfTable(weights: readonly number[], front: number, size: number): Float32Array {
  const mean = weights.reduce((total, weight) => total + weight, 0) / weights.length;
  const idf = new Float32Array(size);
  idf.fill(mean, 0, front);
  idf.set(weights.slice(0, size - front), front);
  return idf;
}
