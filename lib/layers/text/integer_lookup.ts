import type { Config } from '../../config.js';
import { IndexLookup } from './lookup.js';
import type { LookupOptions } from './lookup_options.js';

/** Integers of any range to ids and back (https://keras.io/api/layers/preprocessing_layers/categorical/integer_lookup/). */
export class IntegerLookup extends IndexLookup<number> {
  static override readonly neutral: Config = { vocabulary_dtype: 'int64' };
  override get integers(): boolean {
    return true;
  }

  constructor(options: LookupOptions<number> = {}) {
    super(options, -1);
  }

  protected override token(text: string): number {
    return Number(text);
  }
}
