import type { AttrValue } from '../native.js';
import { recordOp } from './history.js';
import { isSymbolic, type Tensor } from './tensor.js';
import { currentTrace, type Operand } from './trace.js';

/** Appends a native op with several results to the active trace, or records it when an operand is symbolic. */
export function emitParts(op: string, operands: readonly Operand[], attrs?: Record<string, AttrValue>): Tensor[] {
  if (operands.some(isSymbolic)) {
    return recordOp(op, operands, (live) => currentTrace(op).op(op, live, attrs), attrs);
  }
  return currentTrace(op).op(op, operands, attrs);
}

/** As emitParts, for the usual op with one result. */
export function emit(op: string, operands: readonly Operand[], attrs?: Record<string, AttrValue>): Tensor {
  return emitParts(op, operands, attrs)[0]!;
}
