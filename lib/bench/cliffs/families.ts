import { denseFamilies } from './dense.js';
import { convFamilies, poolFamilies } from './images.js';
import type { Family } from './point.js';
import { rowFamilies } from './rows.js';
import { sequenceFamilies } from './sequences.js';

/** Families of shapes around each kind of kernel. */
export const families: readonly Family[] = [
  ...denseFamilies,
  ...convFamilies,
  ...poolFamilies,
  ...sequenceFamilies,
  ...rowFamilies,
];
