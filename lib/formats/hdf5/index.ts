export type { Attribute } from './attribute.js';
export type { NumericArray } from './convert.js';
export { Hdf5Dataset } from './dataset.js';
export { Hdf5Group, openHdf5 } from './file.js';
export { type Hdf5Plan, planHdf5, type WrittenDataset, type WrittenGroup } from './writer.js';
