import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { families } from '../bench/cliffs/families.js';
import { findCliffs } from '../bench/cliffs/find.js';
import { peerNames } from '../bench/programs.js';
import { runBench } from '../bench/run.js';
import { gpuWorkloads, workloads } from '../bench/workloads/index.js';
import { native } from '../native.js';
import { readFile, systemFacts } from './system.js';

const HELP = `Usage: chainrule bench [options]

  --workload W3[,W5]   only these; all by default
  --unit tr            only units whose name starts with this
  --threads N          threads of Chainrule and its peers; pin the process from outside (taskset -c 0-1)
  --peers              times the peers as well, in turn with Chainrule
  --peer torch[,jax]   only these peers: ${peerNames.join(', ')}; "torch eager,torch compile": only these of their variants
  --device cuda        on this GPU (cuda:1: that one), with the workloads for GPUs; PyTorch beside it on the same
  --blocks 11          timed blocks of each contender, and --seconds 0.1: the least time of one
  --json FILE          writes everything, samples included
  --smoke              two short blocks of every unit that is quick: that all runs, not how fast
  --cliffs             sizes around every kind of kernel instead of workloads: names those that are far slower than
                       their neighbours; --family conv2d: only families whose name contains this
  --list               names the workloads and their units

Environment: CHAINRULE_PEER_PYTHON is the Python of the peers (several, parted by colons), CHAINRULE_PEER_NODE_MODULES the
node_modules with those from npm, CHAINRULE_PEER_STDERR=1 shows what they print. A peer that is missing says so.`;

/** Not part of the smoke test: seconds a step, or hundreds of megabytes. */
const SLOW = ['W1', 'W6', 'W7', 'W8', 'W12', 'W16', 'W17', 'W21'];

/** Runs workloads and prints medians; ratios are a peer's time over ours in the same run. */
export async function command(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      workload: { type: 'string' },
      unit: { type: 'string' },
      threads: { type: 'string', default: String(native.info().threads) },
      json: { type: 'string' },
      device: { type: 'string' },
      blocks: { type: 'string' },
      seconds: { type: 'string' },
      peers: { type: 'boolean', default: false },
      peer: { type: 'string' },
      smoke: { type: 'boolean', default: false },
      cliffs: { type: 'boolean', default: false },
      family: { type: 'string' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const { device = 'cpu' } = values;
  const known = device === 'cpu' ? workloads : gpuWorkloads;
  if (values.list) {
    for (const { id, name, units } of known)
      console.log(`${id.padEnd(5)}${name.padEnd(28)}${units.map((unit) => unit.name).join(' ')}`);
    return 0;
  }
  const threads = Number(values.threads);
  if (!Number.isInteger(threads) || threads < 1)
    return wrong(`--threads must be a whole number of 1 or more, got "${values.threads}"`);
  if (values.family !== undefined && !values.cliffs) return wrong('--family is an option of --cliffs');
  const foreign = (['device', 'blocks', 'seconds'] as const).find((name) => values[name] !== undefined);
  if (values.cliffs && foreign) return wrong(`--${foreign} is no option of --cliffs, which times plans on the CPU`);
  if (values.cliffs) {
    const { family = '' } = values;
    if (!families.some(({ name }) => name.includes(family)))
      return wrong(`no family ${family}. There are ${families.map(({ name }) => name).join(', ')}`);
    const options = {
      threads,
      family,
      print: (line: string) => console.log(line),
    };
    const { cliffs, all } = await findCliffs(options);
    if (values.json) writeFileSync(values.json, `${JSON.stringify(all, null, 1)}\n`);
    console.log(`${cliffs.length} of ${all.length} points are cliffs`);
    return 0;
  }
  if (!/^(cpu|cuda(:\d+)?)$/.test(device)) return wrong(`--device must be cpu, cuda or cuda:1, got "${device}"`);
  const blocks = Number(values.blocks ?? (values.smoke ? 2 : 11));
  if (!Number.isInteger(blocks) || blocks < 1)
    return wrong(`--blocks must be a whole number of 1 or more, got "${values.blocks}"`);
  const blockSeconds = Number(values.seconds ?? (values.smoke ? 0.01 : 0.1));
  if (!(blockSeconds > 0)) return wrong(`--seconds must be a number above 0, got "${values.seconds}"`);
  const ids = known.map(({ id }) => id);
  const wanted = values.workload?.split(',') ?? (values.smoke ? ids.filter((id) => !SLOW.includes(id)) : ids);
  const named = values.peer?.split(',');
  const peers = named?.map((name) => name.split(' ')[0]!) ?? (values.peers ? [] : 'none');
  const variants = named && new Set(named);
  const unknown = wanted.filter((id) => !ids.includes(id));
  const strangers = peers === 'none' ? [] : peers.filter((name) => !peerNames.includes(name));
  if (unknown.length > 0) return wrong(`no workload ${unknown.join(', ')}. There are ${ids.join(', ')}`);
  if (strangers.length > 0) return wrong(`no peer ${strangers.join(', ')}. There are ${peerNames.join(', ')}`);
  // Peers are ended on exit, and an interrupted process must get there.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
  const save = (report: object) => {
    if (values.json) writeFileSync(values.json, `${JSON.stringify(report, null, 1)}\n`);
  };
  const { failed, report } = await runBench(
    known.filter(({ id }) => wanted.includes(id)),
    {
      device,
      threads,
      blocks,
      blockSeconds,
      peers,
      ...(variants && { variants }),
      unit: values.unit,
      host: hostFacts(),
      git: revision(),
      print: (line) => console.log(line),
      progress: save,
    },
  );
  save(report);
  return failed ? 1 : 0;
}

/** Says what is wrong with the options; gives the exit code. */
function wrong(what: string): 2 {
  console.error(`bench: ${what}.`);
  return 2;
}

function hostFacts(): object {
  const { cpu, hostCores, cpuQuota, node, libc, memoryBytes } = systemFacts();
  const governor = readFile('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor').trim() || null;
  return {
    cpu,
    isa: native.info().isa,
    cores: hostCores,
    quota: cpuQuota,
    governor,
    node,
    glibc: libc,
    ram: memoryBytes,
  };
}

/** The commit that is measured, where this is a clone. */
function revision(): string | null {
  const { status, stdout } = spawnSync('git', ['rev-parse', 'HEAD'], {
    cwd: join(__dirname, '../..'),
    encoding: 'utf8',
  });
  return status === 0 ? stdout.trim() : null;
}
