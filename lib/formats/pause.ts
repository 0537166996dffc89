let began = 0;

/** Lets the event loop turn where the present work has kept it for 4 ms; between pieces of long work. */
export async function pause(): Promise<void> {
  const now = performance.now();
  if (now - began < 4) return;
  await new Promise((resolve) => setImmediate(resolve));
  began = performance.now();
}
