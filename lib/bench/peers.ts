import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Contender, Task } from './contender.js';

/**
 * Peers run in their own process and answer a line of JSON with a line of JSON:
 *   {"do": "variants", workload, unit}             -> {"variants": [...]}        what this peer can run
 *   {"do": "prepare", workload, unit, variant}     -> {"loss": number | null}    loss of the fixed batch after 10 steps
 *   {"do": "block", seconds}                       -> {"seconds": number}        per unit, over one timed block
 */
export class Peer {
  private readonly waiting: ((answer: Record<string, unknown>) => void)[] = [];

  private constructor(
    readonly name: string,
    private readonly child: ChildProcessWithoutNullStreams,
  ) {
    createInterface({ input: child.stdout }).on('line', (line) =>
      this.waiting.shift()?.(JSON.parse(line) as Record<string, unknown>),
    );
    child.on('exit', () => {
      for (const answer of this.waiting.splice(0)) answer({ error: `${name} ended` });
    });
  }

  /** PyTorch on the CPU, if the Python in CHAINRULE_PEER_PYTHON (or python3) has it. */
  static torch(threads: number): Peer | string {
    const python = process.env.CHAINRULE_PEER_PYTHON ?? 'python3';
    const program = join(__dirname, '../../scripts/peers/torch_peer.py');
    if (!existsSync(program)) return 'the peer programs are not part of the published package';
    const found = spawnSync(python, ['-c', 'import torch; print(torch.__version__)'], { encoding: 'utf8' });
    if (found.status !== 0)
      return `${python} has no torch (pip install torch, or name another Python in CHAINRULE_PEER_PYTHON)`;
    const child = spawn(python, [program, String(threads)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    }) as unknown as ChildProcessWithoutNullStreams;
    return new Peer(`torch ${found.stdout.trim()}`, child);
  }

  private async ask(request: Record<string, unknown>): Promise<Record<string, unknown>> {
    this.child.stdin.write(`${JSON.stringify(request)}\n`);
    const answer = await new Promise<Record<string, unknown>>((resolve) => this.waiting.push(resolve));
    if (typeof answer.error === 'string') throw new Error(`${this.name}: ${answer.error}`);
    return answer;
  }

  /** One contender for each variant that can run the task. */
  async contenders(task: Task): Promise<Contender[]> {
    const { variants } = await this.ask({ do: 'variants', ...task });
    return (variants as string[]).map((variant) => ({
      name: `${this.name.split(' ')[0]} ${variant}`,
      prepare: async () => ((await this.ask({ do: 'prepare', ...task, variant })).loss ?? null) as number | null,
      block: async (seconds) => (await this.ask({ do: 'block', ...task, variant, seconds })).seconds as number,
    }));
  }

  close(): void {
    this.child.stdin.end();
  }
}
