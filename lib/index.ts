export type { ErrorCode } from './errors.js';
export { ChainruleError } from './errors.js';
export type { NativeInfo } from './native.js';

import { native } from './native.js';

/** The version of the package, from the addon: the two are released together. */
export const version: string = native.info().version;
