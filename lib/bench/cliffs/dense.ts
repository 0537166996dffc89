import * as layers from '../../layers/index.js';
import type { Family, Point } from './point.js';
import { point, widths } from './sizes.js';

const dense = (label: string, inputs: number, units: number, rows?: number): Point =>
  point({
    label,
    input: [inputs],
    output: units,
    weights: inputs * units,
    flopPerRow: 2 * inputs * units,
    ...(rows && { rows }),
    make: () => layers.dense({ units }),
  });

export const denseFamilies: Family[] = [
  { name: 'dense, square', trains: true, points: widths.map((n) => dense(`${n}`, n, n)) },
  { name: 'dense from 256, to', trains: true, points: widths.map((n) => dense(`${n}`, 256, n)) },
  { name: 'dense to 256, from', trains: true, points: widths.map((n) => dense(`${n}`, n, 256)) },
  {
    name: 'dense 256 x 256, rows',
    trains: true,
    points: [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 17, 24, 31, 32, 33, 64, 100, 128].map((rows) =>
      dense(`${rows}`, 256, 256, rows),
    ),
  },
];
