import { checked, type OptionTable } from '../config.js';
import { ChainruleError } from '../errors.js';
import type { Shape, Tensor } from '../graph/tensor.js';
import { type Initializer, initializerFamily, VarianceScaling } from '../initializers/index.js';
import { shapeText } from '../ndarray.js';
import { einsum } from '../ops/einsum.js';
import { matmul } from '../ops/math.js';
import { matmulInt8 } from '../ops/quantized.js';
import { reshapeDims } from '../ops/shape.js';
import * as rules from '../rules.js';
import { KernelLayer, type KernelOptions } from './kernel_layer.js';
import { type Int8Weight, maxInt8Rows } from './quantization.js';

export interface EinsumDenseOptions extends Omit<KernelOptions, 'useBias'> {
  /** 'input,kernel->output'; an ellipsis may stand before or after the input's and the output's letters: '...x,xy->...y'. */
  equation: string;
  /** The output's sizes without the batch (and without what an ellipsis stands for); null where the input tells. */
  outputShape: number | readonly (number | null)[];
  /** Letters of the output that a bias has; none by default. */
  biasAxes?: string;
}

interface Shapes {
  kernel: number[];
  bias: number[] | undefined;
  inputAxes: number[];
  outputAxes: number[];
}

/** A dense layer between any axes: act(einsum(equation, x, kernel) + bias) (https://keras.io/api/layers/core_layers/einsum_dense/). */
export class EinsumDense extends KernelLayer {
  static override readonly options: OptionTable = {
    useBias: 'local',
    activityRegularizer: 'regularizer',
    equation: rules.required(rules.text, "'abc,cd->abd'"),
    outputShape: rules.required(rules.anything, '[null, 64]'),
    biasAxes: rules.text,
  };
  static override readonly int8 = true;
  readonly equation: string;
  readonly outputShape: readonly (number | null)[];
  readonly biasAxes: string | undefined;

  constructor(options: EinsumDenseOptions) {
    super({ ...checked(new.target, options), useBias: options.biasAxes !== undefined });
    this.equation = options.equation;
    this.outputShape = typeof options.outputShape === 'number' ? [options.outputShape] : options.outputShape;
    this.biasAxes = options.biasAxes;
  }

  override build(inputShape: Shape): void {
    this.inputSpec = { rank: inputShape.length };
    const { kernel, bias, inputAxes, outputAxes } = this.analyse(inputShape);
    this.addWeights(kernel, bias, fanned(this.kernelInitializer, inputAxes, outputAxes));
  }

  override call(x: Tensor): Tensor {
    const summed = this.quantization && this.summedAxes;
    if (!summed) return this.finish(einsum(this.equation, x, this.kernel));
    // What is stored in fewer bits is a matrix.
    const rows = reshapeDims(x, [...x.dims.slice(0, -summed), x.dims.slice(-summed).reduce((a, b) => a * b)]);
    const product = this.kernelScale ? matmulInt8(rows, this.kernel, this.kernelScale) : matmul(rows, this.kernel);
    return this.finish(reshapeDims(product, [...rows.dims.slice(0, -1), ...this.kernel.shape.slice(summed)]));
  }

  /**
   * How many axes are summed over, where the equation is a product of matrices: those come last in the input and first in
   * the kernel, and the output has the rest of both. Not with an ellipsis, which Keras's int8 cannot read either, and not
   * in classes that extend this one: their formulas read the kernel in its own shape.
   */
  private get summedAxes(): number | undefined {
    if (!this.storesInt8) return undefined;
    const [input, kernel, output] = this.equation.replace(/\s/g, '').split(/,|->/) as [string, string, string];
    const summed = [...kernel].filter((letter) => !output.includes(letter)).join('');
    const kept = kernel.slice(summed.length);
    const product =
      !this.equation.includes('.') &&
      summed !== '' &&
      kernel.startsWith(summed) &&
      input.endsWith(summed) &&
      ![...kept].some((c) => input.includes(c));
    return product && output === input.slice(0, -summed.length) + kept ? summed.length : undefined;
  }

  protected override kernelForm(shape: readonly number[]): Int8Weight | undefined {
    const summed = this.summedAxes;
    if (summed === undefined) return undefined;
    const [rows, columns] = this.storedShape(shape) as readonly [number, number];
    if (rows > maxInt8Rows) return undefined;
    return {
      weight: 'kernel',
      scale: 'kernelScale',
      matrix: [rows, columns],
      scales: 'columns',
      // As wide as the output, as in Keras.
      scaleShape: [...Array<number>(this.inputSpec!.rank! - summed).fill(1), ...shape.slice(summed)],
    };
  }

  override storedShape(shape: readonly number[]): readonly number[] {
    const summed = this.summedAxes;
    if (summed === undefined) return shape;
    const size = (axes: readonly number[]): number => axes.reduce((a, b) => a * b, 1);
    return [size(shape.slice(0, summed)), size(shape.slice(summed))];
  }

  /** Sizes by letter, from the input and the asked output, and what the weights' shapes follow from them. */
  private analyse(inputShape: Shape): Shapes {
    const parts = /^(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?$/.exec(
      this.equation.replace(/\s/g, ''),
    );
    const [, before, input = '', after, kernel = '', outBefore, output = '', outAfter] = parts ?? [];
    if (!parts || before !== outBefore || after !== outAfter || (before && after))
      throw this.wrong(`equation "${this.equation}" must be like "ab,bc->ac", "...x,xy->...y" or "ab...,bc->ac..."`);
    const elided = inputShape.length - input.length;
    if (elided < 0 || (elided > 0 && !before && !after))
      throw this.wrong(`equation "${this.equation}" does not fit an input of shape ${shapeText(inputShape)}`);
    const inputSizes = new Map([...input].map((letter, i) => [letter, inputShape[before ? i + elided : i] ?? null]));
    // The batch is the first axis; it has a letter of its own unless an ellipsis covers it.
    const asked = before && elided > 0 ? [...this.outputShape] : [inputShape[0] ?? null, ...this.outputShape];
    const outputSizes = new Map([...output].map((letter, i) => [letter, asked[i] ?? null]));
    const size = (letter: string): number => {
      const known = outputSizes.get(letter) ?? inputSizes.get(letter);
      if (typeof known === 'number') return known;
      throw this.wrong(`axis "${letter}" of "${this.equation}" must have a known size`);
    };
    for (const letter of output) {
      const [want, got] = [outputSizes.get(letter), inputSizes.get(letter)];
      if (typeof want === 'number' && typeof got === 'number' && want !== got)
        throw this.wrong(`axis "${letter}" has size ${got} in the input but ${want} in outputShape`);
      if (!input.includes(letter) && !kernel.includes(letter))
        throw this.wrong(`axis "${letter}" of the output is neither in the input nor in the kernel`);
    }
    const stray = [...kernel].find((letter) => !input.includes(letter) && !output.includes(letter));
    if (stray) throw this.wrong(`axis "${stray}" of the kernel is neither in the input nor in the output`);
    const axes = [...kernel].map((_, i) => i);
    return {
      kernel: [...kernel].map(size),
      bias: this.biasAxes === undefined ? undefined : this.biasShape(output, size, before ? 0 : elided),
      inputAxes: axes.filter((i) => !output.includes(kernel[i]!)),
      outputAxes: axes.filter((i) => output.includes(kernel[i]!)),
    };
  }

  /** From the first letter that has a bias on: its sizes, and 1 for the others. */
  private biasShape(output: string, size: (letter: string) => number, behind: number): number[] {
    const letters = [...this.biasAxes!];
    const missing = letters.find((letter) => !output.includes(letter));
    if (missing) throw this.wrong(`biasAxes "${this.biasAxes}" names "${missing}", which "${output}" does not have`);
    const first = Math.min(...letters.map((letter) => output.indexOf(letter)));
    const own = [...output.slice(first)].map((letter) => (letters.includes(letter) ? size(letter) : 1));
    return [...own, ...Array<number>(behind).fill(1)];
  }

  private wrong(why: string): ChainruleError {
    return new ChainruleError('ERR_CHAINRULE_SHAPE', `layer "${this.name}" (EinsumDense): ${why}.`, {
      details: { layer: this.name },
    });
  }
}

/** Fans counted by the kernel's axes that come from the input and that go to the output. */
function fanned(initializer: Initializer, inputAxes: number[], outputAxes: number[]): Initializer {
  if (!(initializer instanceof VarianceScaling) || (initializer.inputAxes && initializer.outputAxes))
    return initializer;
  const config = { ...initializer.getConfig(), seed: initializer.seed, input_axes: inputAxes, output_axes: outputAxes };
  return initializerFamily.resolve({ className: initializer.className, config });
}
