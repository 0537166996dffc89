import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { native } from '../../lib/native.js';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

/** Native memory that is still held once all that nobody reaches is collected. */
export async function liveBytes(): Promise<number> {
  // Finalizers run between turns of the event loop.
  for (let i = 0; i < 10; i++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return native.info().memory.liveBytes;
}
