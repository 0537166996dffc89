import './methods.js';

export { stopGradient } from '../graph/grad.js';
export * from './math.js';
export * from './nn.js';
export { type Axis, axes, cast, encodeShape, isOperand, type Operand, type ShapeInput } from './operands.js';
export * as random from './random.js';
export * from './reduce.js';
export * from './shape.js';
