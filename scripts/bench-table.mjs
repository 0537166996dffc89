// npm run bench:table -- FILE.json …: renders reports of `npm run bench -- --json` into docs/benchmarks.md, between its two marks.
// A unit that stands in several files is shown from the last one.
import { readFileSync, writeFileSync } from 'node:fs';

const DOCUMENT = 'docs/benchmarks.md';
const [BEGIN, END] = ['<!-- table: begin -->', '<!-- table: end -->'];

const files = process.argv.slice(2);
if (files.length === 0) {
  console.error('Usage: npm run bench:table -- FILE.json …');
  process.exit(2);
}

const reports = files.map((file) => JSON.parse(readFileSync(file, 'utf8')));
const document = readFileSync(DOCUMENT, 'utf8');
const [begin, end] = [document.indexOf(BEGIN), document.indexOf(END)];
if (begin < 0 || end < begin) throw new Error(`${DOCUMENT}: the marks ${BEGIN} and ${END} are missing`);
const rendered = [BEGIN, '', ...machines(), '', ...table(), '', ...notes(), END].join('\n');
writeFileSync(DOCUMENT, document.slice(0, begin) + rendered + document.slice(end + END.length));
console.log(`${DOCUMENT}: ${units().size} units`);

/** Results by workload and unit: the last file that has it wins. */
function units() {
  const found = new Map();
  for (const report of reports) {
    const own = new Map();
    for (const row of report.results) own.set(keyOf(row), [...(own.get(keyOf(row)) ?? []), row]);
    for (const [key, rows] of own) found.set(key, { rows, report });
  }
  return new Map([...found].sort(([a], [b]) => numberOf(a) - numberOf(b)));
}

function keyOf({ params }) {
  return `${params.workload} ${params.task}`;
}

function numberOf(key) {
  return Number(/^W(\d+)/.exec(key)?.[1] ?? 1000);
}

/** A line for each machine and commit, with what the machine reached in its runs. */
function machines() {
  const groups = new Map();
  for (const { date, git, host, config, floor, peers } of reports) {
    const versions = Object.entries(peers).map(([name, version]) => `${name} ${version}`);
    const where = `${date.slice(0, 10)}, commit ${git?.slice(0, 10) ?? 'unknown'}: ${host.cpu}, ${config.threads} threads (${host.isa}), Node ${host.node}`;
    const group = groups.get(where) ?? { floors: [], versions: new Set() };
    group.floors.push(floor);
    for (const version of versions) group.versions.add(version);
    groups.set(where, group);
  }
  return [...groups].map(([where, { floors, versions }]) => {
    const range = (name) => {
      const values = floors.map((floor) => floor[name]);
      const ends = [Math.min(...values), Math.max(...values)].map((value) => value.toFixed(0));
      return [...new Set(ends)].join(' to ');
    };
    const limits = `${range('gflops')} GFLOP/s, ${range('streamGBs')} GB/s memory, ${range('cacheGBs')} GB/s cache`;
    return `* ${where}, ${limits}${versions.size > 0 ? `; ${[...versions].join(', ')}` : ''}`;
  });
}

function table() {
  const lines = [
    '| unit | Chainrule, median (best) | of floor | fastest peer, median (best) | ratio of medians (of bests) | other peers, ratio of medians |',
    '|---|---|---|---|---|---|',
  ];
  for (const [key, { rows }] of units()) {
    const ours = rows.find(({ params }) => params.contender === 'chainrule');
    // `node alone` is no peer, but what a peer cannot be faster than.
    const others = rows.filter((row) => row !== ours).sort((a, b) => a.min - b.min);
    const peers = others.filter(({ params }) => params.contender !== 'node alone');
    const [fastest, ...rest] = [...peers, ...others.filter((row) => !peers.includes(row))];
    const facts = Object.entries(ours.facts ?? {}).map(([name, value]) => `; ${name} ${factText(name, value)}`);
    lines.push(
      `| ${[
        key,
        `${timeText(ours.median)} (${timeText(ours.min)})${facts.join('')}`,
        ours.ofFloor === undefined ? '' : `${(ours.ofFloor * 100).toFixed(0)} %`,
        fastest ? `${fastest.params.contender} ${timeText(fastest.median)} (${timeText(fastest.min)})` : 'none',
        fastest ? `${fastest.ratio.median.toFixed(2)} (${fastest.ratio.best.toFixed(2)})` : '',
        rest.map(({ params, ratio }) => `${params.contender} ${ratio.median.toFixed(2)}`).join(', '),
      ].join(' | ')} |`,
    );
  }
  return lines;
}

/** What was left out, each line once. */
function notes() {
  const lines = [...new Set(reports.flatMap((report) => report.notes.map((note) => note.split('\n')[0])))];
  return lines.length > 0 ? ['Not in the table:', '', ...lines.map((line) => `* ${line}`), ''] : [];
}

function timeText(nanoseconds) {
  const [value, unit] =
    nanoseconds < 1e6
      ? [nanoseconds / 1e3, 'µs']
      : nanoseconds < 1e9
        ? [nanoseconds / 1e6, 'ms']
        : [nanoseconds / 1e9, 's'];
  return `${value.toPrecision(3)} ${unit}`;
}

function factText(name, value) {
  return name === 'rss' ? `${(value / 1e6).toFixed(0)} MB` : timeText(value * 1e9);
}
