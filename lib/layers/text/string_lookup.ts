import type { Config } from '../../config.js';
import { IndexLookup } from './lookup.js';
import type { LookupOptions } from './lookup_options.js';

/** Strings to ids and back (https://keras.io/api/layers/preprocessing_layers/categorical/string_lookup/). */
export class StringLookup extends IndexLookup<string> {
  static override readonly neutral: Config = { encoding: 'utf-8' };

  constructor(options: LookupOptions<string> = {}) {
    super(options, '[UNK]');
  }

  protected override token(text: string): string {
    return text;
  }
}
