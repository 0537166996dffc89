import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { runBench } from '../bench/run.js';
import { workloads } from '../bench/workloads/index.js';
import { native } from '../native.js';

const HELP = `Usage: chainrule bench [--workload W3[,W5]] [--threads N] [--peers] [--json FILE] [--smoke]

  --peers   times PyTorch as well, in turn with Chainrule (its Python: CHAINRULE_PEER_PYTHON, else python3)
  --smoke   a few short blocks of the small workloads: that everything runs, not how fast`;

/** Runs workloads and prints medians; ratios are a peer's median over ours in the same run. */
export async function command(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      workload: { type: 'string' },
      threads: { type: 'string', default: String(native.info().threads) },
      json: { type: 'string' },
      peers: { type: 'boolean', default: false },
      smoke: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const wanted = values.workload?.split(',') ?? (values.smoke ? ['W3', 'W15', 'W20'] : workloads.map(({ id }) => id));
  const unknown = wanted.filter((id) => !workloads.some((workload) => workload.id === id));
  const threads = Number(values.threads);
  if (unknown.length > 0 || !Number.isInteger(threads) || threads < 1) {
    console.error(
      unknown.length > 0
        ? `bench: no workload ${unknown.join(', ')}. There are ${workloads.map(({ id }) => id).join(', ')}.`
        : HELP,
    );
    return 2;
  }
  const report = await runBench(
    workloads.filter(({ id }) => wanted.includes(id)),
    {
      threads,
      blocks: values.smoke ? 2 : 11,
      blockSeconds: values.smoke ? 0.01 : 0.1,
      peers: values.peers,
      print: (line) => console.log(line),
    },
  );
  if (values.json) writeFileSync(values.json, `${JSON.stringify(report, null, 1)}\n`);
  return 0;
}
