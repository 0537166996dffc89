import { make } from '../../class_options.js';
import { layerFamily } from '../family.js';
import { HashedCrossing, type HashedCrossingOptions, Hashing, type HashingOptions } from './hashing.js';
import { IntegerLookup } from './integer_lookup.js';
import type { LookupOptions } from './lookup_options.js';
import { StringLookup } from './string_lookup.js';
import { TextVectorization, type TextVectorizationOptions } from './text_vectorization.js';

export type { AdaptTexts } from './adapt.js';
export type { OutputModeOption } from './encoding.js';
export { HashedCrossing, type HashedCrossingOptions, Hashing, type HashingOptions, type Salt } from './hashing.js';
export { type HostInput, HostLayer } from './host_layer.js';
export { IntegerLookup } from './integer_lookup.js';
export { IndexLookup } from './lookup.js';
export type { LookupOptions } from './lookup_options.js';
export { StringLookup } from './string_lookup.js';
export {
  type SplitFunction,
  type StandardizeFunction,
  TextVectorization,
  type TextVectorizationOptions,
} from './text_vectorization.js';

layerFamily.add(Hashing).add(HashedCrossing).add(IntegerLookup).add(StringLookup).add(TextVectorization);

export const hashing = (options: HashingOptions): Hashing => make(Hashing, options);
export const hashedCrossing = (options: HashedCrossingOptions): HashedCrossing => make(HashedCrossing, options);
export const integerLookup = (options?: LookupOptions<number>): IntegerLookup => make(IntegerLookup, options);
export const stringLookup = (options?: LookupOptions<string>): StringLookup => make(StringLookup, options);
export const textVectorization = (options?: TextVectorizationOptions): TextVectorization =>
  make(TextVectorization, options);
