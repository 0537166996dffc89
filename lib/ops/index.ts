import './methods.js';

export * from './math.js';
export * from './nn.js';
export * from './reduce.js';
export * from './shape.js';
export { axes, cast, encodeShape, isOperand, type Axis, type Operand, type ShapeInput } from './operands.js';
export * as random from './random.js';
export { stopGradient } from '../graph/grad.js';
