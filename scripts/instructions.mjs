// npm run bench:instructions [-- --update]: counts the instructions of small fixed workloads with Callgrind and compares them
// with scripts/instructions/baseline.json. Unlike times, counts do not depend on what else the machine does.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { listFiles, prepare } from './prepare.mjs';

const ALLOWED = 1.03;
const FOLDER = 'build/instructions';
const BASELINE = 'scripts/instructions/baseline.json';
// Only what runs a plan is counted: neither Node nor the making of plans.
const COUNTED = 'chainrule::Program::run*';

function skip(why) {
  console.log(`instructions: not counted: ${why}`);
  process.exit(0);
}

function output(command, args) {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

if (!output('valgrind', ['--version'])) skip('valgrind is not installed (apt-get install valgrind)');
if (!/\bavx2\b/.test(existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : '')) skip('no AVX2 here');
const compiler = `${process.env.CXX ?? 'g++'} ${output(process.env.CXX ?? 'g++', ['-dumpversion']) ?? 'unknown'}`;

await prepare();
rmSync(FOLDER, { recursive: true, force: true });
mkdirSync(FOLDER, { recursive: true });
const marks = `${FOLDER}/marks.node`;
const headers = 'node_modules/node-api-headers/include';
const built = spawnSync(
  'gcc',
  ['-O1', '-shared', '-fPIC', `-I${headers}`, 'scripts/instructions/marks.c', '-o', marks],
  { encoding: 'utf8' },
);
if (built.status !== 0) skip(`the headers of valgrind are missing: ${built.stderr?.split('\n')[0]}`);

const counts = count();
if (process.argv.includes('--update')) {
  writeFileSync(BASELINE, `${JSON.stringify({ compiler, isa: 'avx2', counts }, null, 2)}\n`);
  console.log(`${BASELINE} written`);
} else {
  process.exitCode = compare(JSON.parse(readFileSync(BASELINE, 'utf8')), counts);
}

/** Instructions by workload, from the files that Callgrind writes at each mark. */
function count() {
  const { status, stdout, stderr } = spawnSync(
    'valgrind',
    [
      '--tool=callgrind',
      '--smc-check=all-non-file', // V8 writes code as it runs
      '--collect-atstart=no',
      `--toggle-collect=${COUNTED}`,
      `--callgrind-out-file=${FOLDER}/counts`,
      process.execPath,
      '--single-threaded',
      'scripts/instructions/workloads.cjs',
      `${process.cwd()}/${marks}`,
    ],
    { encoding: 'utf8', env: { ...process.env, CHAINRULE_ISA: 'avx2', OMP_NUM_THREADS: '1' } },
  );
  if (status !== 0) throw new Error(`valgrind ended with exit code ${status}:\n${stdout}${stderr.slice(-2000)}`);
  const found = {};
  for (const file of listFiles(FOLDER).filter((name) => /\/counts\.\d+/.test(name))) {
    const text = readFileSync(file, 'utf8');
    const name = /^desc: Trigger: Client Request: (.*)$/m.exec(text)?.[1];
    const sum = Number(/^(?:summary|totals): (\d+)/m.exec(text)?.[1] ?? 0);
    if (name && !name.startsWith('before ')) found[name] = (found[name] ?? 0) + sum;
  }
  return found;
}

function compare(baseline, counts) {
  const foreign = baseline.compiler !== compiler;
  if (foreign)
    console.log(`instructions: the baseline was made with ${baseline.compiler}, this is ${compiler}: nothing fails`);
  let worse = 0;
  for (const name of new Set([...Object.keys(baseline.counts), ...Object.keys(counts)])) {
    const [before, now] = [baseline.counts[name], counts[name]];
    const bad = !(now > 0) || !(now <= before * ALLOWED);
    if (bad) worse++;
    const change = before && now ? `${((now / before - 1) * 100).toFixed(2)} %` : 'only on one side';
    console.log(`${bad ? 'MORE' : 'ok  '} ${name.padEnd(24)}${String(now).padStart(12)}  ${change}`);
  }
  if (worse === 0 || foreign) return 0;
  console.error(
    `\n${worse} workloads need more than 3 % more instructions than ${BASELINE} says. If that is meant (for less memory traffic, say),\nrenew the baseline with npm run bench:instructions -- --update, and say why in the commit.`,
  );
  return 1;
}
