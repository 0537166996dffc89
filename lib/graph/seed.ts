import { checkValues, integer, required } from '../rules.js';

/** Seeds of layers and initializers come from one generator per thread, so that setRandomSeed fixes all of them. */
let state = randomStart();

function randomStart(): number {
  return Math.floor(Math.random() * 2 ** 32) >>> 0;
}

/** Makes everything random that is created from now on repeatable. `seed` is an integer. */
export function setRandomSeed(seed: number): void {
  checkValues('setRandomSeed', { seed }, { seed: required(integer(), '7') });
  state = mix(seed >>> 0) ^ mix(Math.floor(seed / 2 ** 32) >>> 0);
}

/** The next seed of a layer or initializer that was given none. */
export function nextSeed(): number {
  state = (state + 0x9e3779b9) >>> 0;
  return mix(state);
}

/** A Philox key and a draw counter of 0. */
export function seedData(seed = nextSeed()): Uint32Array {
  const low = seed >>> 0;
  const high = Math.floor(Math.abs(seed) / 2 ** 32) >>> 0;
  return Uint32Array.of(mix(low ^ 0x85ebca6b), mix(high ^ mix(low)), 0);
}

/** The finalizer of MurmurHash3: neighbouring seeds give unrelated keys. */
function mix(value: number): number {
  let hash = value >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
