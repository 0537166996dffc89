/** A unit of a workload, for example the training step of W3 at batch 32. */
export interface Task {
  workload: string;
  unit: string;
}

/** Someone who runs a task: Chainrule or a peer. */
export interface Contender {
  name: string;
  /** Makes everything ready; gives the loss of the fixed batch after ten steps if the task trains. */
  prepare(): Promise<number | null>;
  /** Runs the unit for at least so many seconds and gives seconds per unit. */
  block(seconds: number): Promise<number>;
  /** What else is worth a word: percentiles of single calls, memory. By name, in seconds or bytes. */
  facts?(): Promise<Record<string, number>>;
}
