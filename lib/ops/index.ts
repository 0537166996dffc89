import './methods.js';

export { stopGradient } from '../graph/grad.js';
export * from './conv.js';
export { einsum } from './einsum.js';
export * as image from './image.js';
export * from './math.js';
export * from './nn.js';
export * from './normalization.js';
export { type Axis, axes, cast, encodeShape, isOperand, type Operand, type ShapeInput } from './operands.js';
export * from './pool.js';
export * as random from './random.js';
export * from './reduce.js';
export * from './shape.js';
export type { DataFormat, Margins, Padding, Size } from './window.js';
