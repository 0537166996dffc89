import { type Split, type Table, unpack } from './sources.js';

// Time series by the recipes' rules: standardised by the first 80 % of the rows, windows, the next value as target.

export interface Series {
  split: Split;
  /** Of the target, in its own unit. */
  mean: number;
  deviation: number;
}

function statistics(values: number[]): { mean: number; deviation: number } {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return { mean, deviation: Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length) };
}

const lines = (file: string): string[][] =>
  unpack(file)
    .toString('utf8')
    .trim()
    .split(/\r?\n/)
    .slice(1)
    .map((line) => line.split(','));

/** Windows of `length` rows; a window is for the test when its target row is. Column 0 is the target. */
function windows(rows: number[][], length: number): Split {
  const border = Math.floor(0.8 * rows.length);
  const width = rows[0]!.length;
  const tables = (from: number, to: number): [Table, Table] => {
    const data = new Float32Array((to - from) * length * width);
    const targets = new Float32Array(to - from);
    for (let target = from; target < to; target++) {
      rows.slice(target - length, target).forEach((row, t) => {
        data.set(row, ((target - from) * length + t) * width);
      });
      targets[target - from] = rows[target]![0]!;
    }
    return [
      { data, shape: [to - from, length, width] },
      { data: targets, shape: [to - from] },
    ];
  };
  const [train, trainTargets] = tables(length, border);
  const [test, testTargets] = tables(border, rows.length);
  return { train, trainTargets, test, testTargets };
}

export function temperature(): Series {
  const values = lines('daily-min-temperatures.csv.gz').map((cells) => Number(cells[1]));
  const { mean, deviation } = statistics(values.slice(0, Math.floor(0.8 * values.length)));
  const rows = values.map((value) => [(value - mean) / deviation]);
  return { split: windows(rows, 30), mean, deviation };
}

const winds = ['NE', 'NW', 'SE', 'cv'];

export function pollution(): Series {
  const cells = lines('pollution.csv.gz');
  let last = Number.NaN;
  const particles = cells.map((row) => {
    if (row[5] !== 'NA') last = Number(row[5]);
    return last;
  });
  const chosen = cells.slice(24, 20_000);
  const columns = [
    particles.slice(24, 20_000),
    ...[6, 7, 8, 10, 11, 12].map((k) => chosen.map((row) => Number(row[k]))),
  ];
  const border = Math.floor(0.8 * chosen.length);
  const known = columns.map((column) => statistics(column.slice(0, border)));
  const rows = chosen.map((row, i) => [
    ...columns.map((column, k) => (column[i]! - known[k]!.mean) / known[k]!.deviation),
    ...winds.map((wind) => Number(row[9] === wind)),
  ]);
  return { split: windows(rows, 24), ...known[0]! };
}
