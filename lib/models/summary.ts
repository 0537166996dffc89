import { checkOptions } from '../errors.js';
import type { Shape, Tensor } from '../graph/tensor.js';
import type { Variable } from '../graph/variable.js';
import type { Layer } from '../layers/layer.js';
import { elementBytes } from '../ndarray.js';
import type { Model } from './model.js';
import type { Network } from './network.js';
import { table } from './table.js';

export interface SummaryOptions {
  /** Characters per line; at most the terminal's width less 4. */
  lineLength?: number;
  /** Right ends of the columns, as parts of the line. */
  positions?: readonly number[];
  /** Receives the text; console.log when absent. */
  printFn?: (text: string) => void;
  /** Show the layers of inner models. */
  expandNested?: boolean;
  /** A column that says which layers train. */
  showTrainable?: boolean;
  /** Names of the first and last layer to show. */
  layerRange?: readonly [string, string];
}

/** Keras's model.summary (keras/src/utils/summary_utils.py): the same table, so that people can compare. */
export function printSummary(model: Model, options: SummaryOptions): string {
  checkOptions('summary', options, [
    'lineLength',
    'positions',
    'printFn',
    'expandNested',
    'showTrainable',
    'layerRange',
  ]);
  const { network } = model as Model & { network?: Network };
  const chain = !network || model.className === 'Sequential';
  const header = [
    'Layer (type)',
    'Output Shape',
    'Param #',
    ...(chain ? [] : ['Connected to']),
    ...(options.showTrainable ? ['Trainable'] : []),
  ];
  const shares = [
    ...(chain ? [0.4583, 0.3333, 0.2084] : [0.2958, 0.2676, 0.169, 0.2676]),
    ...(options.showTrainable ? [0.15] : []),
  ];
  const length = Math.min(options.lineLength ?? (chain ? 88 : 108), Math.max(40, (process.stdout.columns ?? 80) - 4));
  const rows = rowsOf(model, network, options, '');
  const alignment = header.map((title) => (title === 'Param #' ? 'right' : 'left') as 'left' | 'right');
  const text = [
    `Model: "${model.name}"`,
    table({
      header,
      rows,
      alignment,
      widths: widths(options.positions ? differences(options.positions) : shares, length),
      ascii: !utf8(),
    }),
    ...totals(model),
  ].join('\n');
  (options.printFn ?? console.log)(text);
  return text;
}

function rowsOf(model: Model, network: Network | undefined, options: SummaryOptions, indent: string): string[][] {
  let { layers } = model;
  if (options.layerRange) {
    const [from, to] = options.layerRange.map((name) => layers.findIndex((layer) => layer.name === name));
    layers = layers.slice(Math.max(0, from!), (to! < 0 ? layers.length : to!) + 1);
  }
  const chain = !network || model.className === 'Sequential';
  return layers.flatMap((layer) => {
    const nodes = network?.nodes.filter((node) => node.operation.layer === layer) ?? [];
    const input = network?.inputs.find((tensor) => tensor.origin?.node.operation.layer === layer);
    const outputs = nodes.length > 0 ? nodes[0]!.outputs : input ? [input] : [];
    const row = [
      `${indent}${layer.name} (${[layer.className, layer.quantization].filter(Boolean).join(', ')})`,
      outputs.length > 0 ? outputs.map((output) => shapeOf(output.shape)).join(', ') : '?',
      layer.built ? layer.countParams().toLocaleString('en-US') : '0 (unbuilt)',
      ...(chain ? [] : [nodes.flatMap((node) => node.inputs.map(sourceOf)).join(', ') || '-']),
      ...(options.showTrainable ? [layer.weights.length > 0 ? (layer.trainable ? 'Y' : 'N') : '-'] : []),
    ];
    const inner =
      options.expandNested && isModel(layer)
        ? rowsOf(
            layer,
            (layer as Model & { network?: Network }).network,
            { ...options, layerRange: undefined },
            `${indent}└ `,
          )
        : [];
    return [row, ...inner.map((cells) => (chain === cells.length < row.length ? cells.slice(0, row.length) : cells))];
  });
}

/** Keras writes None where JavaScript has null; people compare the two outputs. */
function shapeOf(shape: Shape): string {
  const dims = shape.map((dim) => dim ?? 'None').join(', ');
  return shape.length === 1 ? `(${dims},)` : `(${dims})`;
}

function sourceOf(tensor: Tensor): string {
  const { node, index } = tensor.origin!;
  const { layer } = node.operation as { layer?: Layer };
  const call = Math.max(0, layer?.nodes.indexOf(node) ?? 0);
  return `${node.operation.name}[${call}][${index}]`;
}

function isModel(layer: Layer): layer is Model {
  return 'predictStep' in layer;
}

function totals(model: Model): string[] {
  const line = (title: string, variables: readonly Variable[]): string => {
    const size = variables.reduce((total, variable) => total + variable.size, 0);
    const memory = variables.reduce((total, { dtype, size: one }) => total + one * elementBytes(dtype), 0);
    return ` ${title}: ${size.toLocaleString('en-US')} (${bytes(memory)})`;
  };
  const optimizer = model.compiled ? model.optimizer.variables : [];
  const shown = optimizer.reduce((total, variable) => total + variable.size, 0) > 2 ? optimizer : [];
  return [
    line('Total params', [...model.weights, ...shown]),
    line('Trainable params', model.trainableWeights),
    line('Non-trainable params', model.nonTrainableWeights),
    ...(shown.length > 0 ? [line('Optimizer params', shown)] : []),
  ];
}

function bytes(size: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'];
  let value = size;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value.toFixed(2)} ${units[unit]}`;
}

function differences(positions: readonly number[]): number[] {
  return positions.map((position, i) => position - (positions[i - 1] ?? 0));
}

function widths(shares: readonly number[], length: number): number[] {
  const room = length - shares.length - 1;
  const total = shares.reduce((sum, share) => sum + share, 0);
  return shares.map((share) => Math.max(8, Math.round((share / total) * room)));
}

function utf8(): boolean {
  const locale = process.env.LC_ALL || process.env.LC_CTYPE || process.env.LANG || '';
  // Only a terminal that says it is something else gets ASCII; files and pipes are UTF-8.
  return !process.stdout.isTTY || locale === '' || /utf-?8/i.test(locale);
}
