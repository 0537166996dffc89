/** One piece of native work, in the background or at once. */
export interface Task<T = unknown> {
  background(): Promise<T> | T;
  now(): T;
}

/**
 * Host work as a description that yields its native pieces: the same description runs in the background for predict and
 * fit, and at once for predictSync.
 */
export type Work<T> = Generator<Task, T, never>;

/** `yield*` this: the result of one piece. */
export function* perform<T>(task: Task<T>): Work<T> {
  return (yield task as Task) as T;
}

export async function inBackground<T>(work: Work<T>): Promise<T> {
  let step = work.next();
  while (!step.done) {
    let result: unknown;
    try {
      result = await step.value.background();
    } catch (error) {
      // The description may add to an error where it stands.
      step = work.throw(error);
      continue;
    }
    step = work.next(result as never);
  }
  return step.value;
}

export function atOnce<T>(work: Work<T>): T {
  let step = work.next();
  while (!step.done) {
    let result: unknown;
    try {
      result = step.value.now();
    } catch (error) {
      step = work.throw(error);
      continue;
    }
    step = work.next(result as never);
  }
  return step.value;
}
