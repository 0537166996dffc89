import { loadAddon } from './native-loader.js';

/** What the addon says about itself. */
export interface NativeInfo {
  version: string;
  /** Hash of the list of compiled sources: equal in both build systems. */
  sources: string;
  compiler: string;
  /** What runs the thread team: `openmp` or `std::thread`. */
  team: string;
}

/** The typed contract with native/node. */
export interface Native {
  info(): NativeInfo;
}

const loaded = loadAddon();

export const native = loaded.addon as Native;
/** Which file was loaded and why, for `chainrule info`. */
export const nativeOrigin = { path: loaded.path, reason: loaded.reason };
