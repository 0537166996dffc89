import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Contender, Task } from './contender.js';
import type { Floor } from './rounds.js';

/** How to start a peer's process. */
export interface PeerProgram {
  /** First word of its contenders' names. */
  name: string;
  version: string;
  command: string;
  args: readonly string[];
  env?: Readonly<Record<string, string>>;
}

/**
 * Peers run in their own process and answer a line of JSON with a line of JSON:
 *   {"do": "variants", workload, unit}                    -> {"variants": [...]}      what this peer can run; the unit before ends
 *   {"do": "prepare", workload, unit, variant}            -> {"loss": number | null}  loss of the fixed batch after 10 steps
 *   {"do": "block", workload, unit, variant, seconds}     -> {"seconds": number}      per unit, over one timed block
 *   {"do": "floor", workload, unit, size}                 -> {"floor": Floor}         of a device, by products of that size
 * or with {"error": text}. Between two requests the process is stopped: threads that wait for work by spinning would slow down
 * whoever is timed next.
 */
export class Peer {
  private readonly waiting: ((answer: Record<string, unknown>) => void)[] = [];
  private readonly child: ChildProcessWithoutNullStreams;
  private ended = false;
  /** A stopped process would outlive this one. */
  private readonly end = () => this.child.kill('SIGKILL');

  constructor(readonly program: PeerProgram) {
    const { name, command, args, env } = program;
    // Their notes and warnings would tear the table apart; what goes wrong comes back as an answer.
    const child = spawn(command, args, {
      stdio: ['pipe', 'pipe', process.env.CHAINRULE_PEER_STDERR ? 'inherit' : 'ignore'],
      env: { ...process.env, ...env },
    });
    this.child = child as unknown as ChildProcessWithoutNullStreams;
    process.on('exit', this.end);
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      if (line.startsWith('{')) this.waiting.shift()?.(JSON.parse(line) as Record<string, unknown>);
    });
    child.on('error', () => {});
    this.child.stdin.on('error', () => {});
    child.on('close', () => {
      this.ended = true;
      for (const answer of this.waiting.splice(0)) answer({ error: `${name} ended` });
    });
  }

  private async ask(request: Record<string, unknown>): Promise<Record<string, unknown>> {
    const { name } = this.program;
    if (this.ended) throw new Error(`${name} ended; CHAINRULE_PEER_STDERR=1 shows what it says`);
    this.child.kill('SIGCONT');
    this.child.stdin.write(`${JSON.stringify(request)}\n`);
    const answer = await new Promise<Record<string, unknown>>((resolve) => this.waiting.push(resolve));
    this.child.kill('SIGSTOP');
    if (typeof answer.error === 'string') throw new Error(answer.error);
    return answer;
  }

  /** One contender for each variant that can run the task. */
  async contenders(task: Task): Promise<Contender[]> {
    const { variants } = await this.ask({ do: 'variants', ...task });
    return (variants as string[]).map((variant) => ({
      name: `${this.program.name} ${variant}`.trim(),
      prepare: async () => ((await this.ask({ do: 'prepare', ...task, variant })).loss ?? null) as number | null,
      block: async (seconds) => (await this.ask({ do: 'block', ...task, variant, seconds })).seconds as number,
    }));
  }

  /** The limits of the device, as the peer reaches them: products of `size` squared, copies of as many floats. */
  async floor(size: number): Promise<Floor> {
    return (await this.ask({ do: 'floor', size, workload: 'floor', unit: String(size) })).floor as Floor;
  }

  close(): void {
    this.child.kill('SIGCONT');
    this.child.stdin.end();
    process.off('exit', this.end);
  }
}
