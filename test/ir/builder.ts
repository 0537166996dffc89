import { type AttrValue, type NativeGraph, type NativeVariable, native } from '../../lib/native.js';

/** A graph under construction, in as few characters as tests deserve. */
export class Builder {
  readonly graph: NativeGraph = new native.Graph();

  input(name: string, ...shape: number[]): number {
    return this.graph.input(name, 'float32', shape);
  }
  scalar(value: number): number {
    return this.graph.scalar(value, 'float32');
  }
  op(name: string, inputs: number[], attrs: Record<string, AttrValue> = {}): number {
    return this.graph.op(name, inputs, attrs)[0] as number;
  }
  sum(value: number): number {
    const axes = this.graph.shape(value).map((_, axis) => axis);
    return this.op('reduceSum', [value], { axes, keepDims: false });
  }
  dense(x: number, kernel: NativeVariable, bias: NativeVariable): number {
    return this.op('add', [this.op('matmul', [x, this.graph.read(kernel)]), this.graph.read(bias)]);
  }
}

/** A float32 variable with the values sin(1), sin(2), … */
export function variable(name: string, ...shape: number[]): NativeVariable {
  const made = new native.Variable(name, 'float32', shape);
  const count = shape.reduce((a, b) => a * b, 1);
  made.writeSync(Float32Array.from({ length: count }, (_, i) => Math.sin(i + 1)));
  return made;
}

/** Runs the graph once on the calling thread: one flat array per output. */
export function evaluate(builder: Builder, outputs: number[], inputs: [number[], ...number[]][] = []): number[][] {
  const program = builder.graph.compileSync(outputs);
  const bound = inputs.map(([data, ...shape]) => ({ data: Float32Array.from(data), shape }));
  return program.runSync(bound).map((result) => Array.from(result.data));
}
