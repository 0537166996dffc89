import { Skip } from './compare.mjs';

export async function ops() {
  throw new Skip('keras.ops by name come with the rest of the op surface');
}
