import { ChainruleError } from '../../errors.js';
import type { LayerOptions } from '../layer.js';
import type { OutputMode, OutputModeOption } from './encoding.js';
import type { Salt } from './hashing.js';

/** Options that all lookups share; T is what the tokens are. */
export interface LookupOptions<T> extends LayerOptions {
  /** Size of the vocabulary at most, special tokens included. */
  maxTokens?: number | undefined;
  /** Ids for what is not in the vocabulary; several share it out by hash. Default 1; 0: such inputs are errors. */
  numOovIndices?: number;
  /** A token that counts as nothing: id 0 with outputMode 'int', dropped otherwise. */
  maskToken?: T | null;
  /** What an inverted lookup gives for unknown ids. */
  oovToken?: T | null;
  /** The tokens, or the path of a text file with one per line; otherwise adapt() learns them. */
  vocabulary?: readonly T[] | string | undefined;
  /** Factors for outputMode 'tf_idf', one per token of `vocabulary`. */
  idfWeights?: readonly number[] | undefined;
  /** From ids back to tokens. Default false. */
  invert?: boolean;
  /** Default 'int'. */
  outputMode?: OutputModeOption;
  /** Vectors are as long as maxTokens, however many tokens there are. Default false. */
  padToMaxTokens?: boolean;
  /** Only false. */
  sparse?: boolean;
  /** How unknown integers are shared out: by remainder or by hash. Default 'floormod'. */
  oovMethod?: 'floormod' | 'farmhash';
  /** Hash by SipHash with this key. */
  salt?: Salt;
  /** The size that a file says the vocabulary has. @internal */
  vocabularySize?: number;
}

/** What options of a lookup have become. */
interface Chosen {
  className: string;
  padToMaxTokens: boolean;
  invert: boolean;
  outputMode: OutputMode;
  integers: boolean;
  oovMethod: string;
  salt: unknown;
}

/** Refuses options that do not go together. */
export function checkTogether(layer: Chosen, options: LookupOptions<unknown>): void {
  const refuse = (text: string): never => {
    throw new ChainruleError('ERR_CHAINRULE_OPTION', `${layer.className}: ${text}`);
  };
  if (layer.padToMaxTokens && options.maxTokens === undefined) refuse('padToMaxTokens needs maxTokens.');
  if (layer.invert && layer.outputMode !== 'int') refuse('invert goes with outputMode "int" only.');
  if (layer.salt && layer.integers && layer.oovMethod !== 'farmhash') refuse('salt needs oovMethod "farmhash".');
  if (options.idfWeights !== undefined && layer.outputMode !== 'tf_idf')
    refuse('idfWeights go with outputMode "tf_idf" only.');
  if (options.vocabulary !== undefined && layer.outputMode === 'tf_idf' && options.idfWeights === undefined)
    refuse('a vocabulary with outputMode "tf_idf" needs idfWeights, one per token.');
}
