import { make } from '../../class_options.js';
import { layerFamily } from '../family.js';
import { AdditiveAttention, type AdditiveAttentionOptions, Attention, type AttentionOptions } from './attention.js';
import { GroupedQueryAttention, type GroupedQueryAttentionOptions } from './grouped_query.js';
import { MultiHeadAttention, type MultiHeadAttentionOptions } from './multi_head.js';

export * from './attention.js';
export {
  GroupedQueryAttention,
  GroupedQueryAttention as GroupQueryAttention,
  type GroupedQueryAttentionOptions,
} from './grouped_query.js';
export { MultiHeadAttention, type MultiHeadAttentionOptions } from './multi_head.js';
export type { AttentionArguments } from './projected.js';

layerFamily
  .add(AdditiveAttention)
  .add(Attention)
  .add(GroupedQueryAttention, 'GroupQueryAttention')
  .add(MultiHeadAttention);

export const multiHeadAttention = (options: MultiHeadAttentionOptions): MultiHeadAttention =>
  make(MultiHeadAttention, options);
export const groupQueryAttention = (options: GroupedQueryAttentionOptions): GroupedQueryAttention =>
  make(GroupedQueryAttention, options);
export const attention = (options?: AttentionOptions): Attention => make(Attention, options);
export const additiveAttention = (options?: AdditiveAttentionOptions): AdditiveAttention =>
  make(AdditiveAttention, options);
