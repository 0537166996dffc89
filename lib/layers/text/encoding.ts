import type { EncodeOptions, NativeTextSource, NativeVocabulary } from '../../native.js';
import { type AnyArray, NDArray } from '../../ndarray.js';
import { perform, type Work } from './work.js';

export type VectorMode = 'one_hot' | 'multi_hot' | 'count' | 'tf_idf';
export type OutputMode = 'int' | VectorMode;
/** The modes in the spellings that options accept. */
export type OutputModeOption = OutputMode | 'oneHot' | 'multiHot' | 'tfIdf' | 'tf-idf' | 'binary';

/** Names from before Keras 3. */
export function modernMode(mode: string | undefined): string | undefined {
  if (mode === 'binary') return 'multi_hot';
  return mode === 'tf-idf' ? 'tf_idf' : mode;
}

/** The shape of vectors of `depth` numbers for ids of a shape: one for each id, or one for all of the last axis. */
export function vectorShape(shape: readonly number[], mode: VectorMode, depth: number): number[] {
  if (mode !== 'one_hot') return [...shape.slice(0, -1), depth];
  return shape.length === 0 || (shape.length > 1 && shape.at(-1) === 1)
    ? [...(shape.length === 0 ? [1] : shape.slice(0, -1)), depth]
    : [...shape, depth];
}

const forms = { one_hot: 'oneHot', multi_hot: 'multiHot', count: 'count', tf_idf: 'count' } as const;

/** What the engine makes of ids in a mode. */
export const formOf = (mode: VectorMode): EncodeOptions['form'] => forms[mode];

/** Runs the engine's encoding; `shape` is that of the result, or follows from the width of its rows. */
export function* encoded(
  vocabulary: NativeVocabulary,
  source: NativeTextSource,
  options: EncodeOptions,
  shape: (width: number) => readonly number[],
): Work<AnyArray> {
  const { data, width } = yield* perform({
    background: () => vocabulary.encode(source, options),
    now: () => vocabulary.encodeSync(source, options),
  });
  return new NDArray(data, shape(width)) as AnyArray;
}
