import { describe, expect, test } from 'vitest';
import { compute, type Layer, layers, NDArray, ops, type Tensor, trace } from '../../lib/index.js';

// Maps with a factor that leaves nothing to chance, against plain interpolation; draws by what must hold for each image.

const [height, width] = [5, 6];
const image = (n: number): NDArray =>
  new NDArray(
    Float32Array.from({ length: n * height * width * 2 }, (_, i) => Math.fround(Math.sin(i * 1.7) / 2 + 0.5)),
    [n, height, width, 2],
  );
const trained = async (layer: Layer, x: NDArray): Promise<NDArray> => {
  const [out] = await trace(({ x: images }: { x: Tensor }) => [layer.apply(images, { training: true })]).run({ x });
  return out!;
};

/** The image at any place: mirrored at its border, or a constant beyond it. */
function sample(x: NDArray, n: number, y: number, z: number, c: number, fill?: number): number {
  const mirror = (at: number, size: number): number => {
    const turn = (((at + 0.5) % (2 * size)) + 2 * size) % (2 * size);
    return Math.min(Math.max(Math.min(turn, 2 * size - turn) - 0.5, 0), size - 1);
  };
  const [row, column] = fill === undefined ? [mirror(y, height), mirror(z, width)] : [y, z];
  const [top, left] = [Math.floor(row), Math.floor(column)];
  const pixel = (i: number, j: number): number =>
    i < 0 || j < 0 || i >= height || j >= width ? (fill ?? 0) : x.at(n, i, j, c);
  const line = (i: number): number => pixel(i, left) + (pixel(i, left + 1) - pixel(i, left)) * (column - left);
  return line(top) + (line(top + 1) - line(top)) * (row - top);
}

function compare(out: NDArray, x: NDArray, from: (y: number, z: number) => [number, number], fill?: number): void {
  expect(out.shape).toEqual(x.shape);
  for (let n = 0; n < x.shape[0]!; n++)
    for (let y = 0; y < height; y++)
      for (let z = 0; z < width; z++)
        for (const c of [0, 1]) expect(out.at(n, y, z, c)).toBeCloseTo(sample(x, n, ...from(y, z), c, fill), 4);
}

describe('augmentation by a known amount', () => {
  const x = image(2);

  test('rotation about the centre', async () => {
    const layer = layers.randomRotation({ factor: [0.1, 0.1], fillMode: 'constant', fillValue: 0.25 });
    const [cos, sin] = [Math.cos(0.2 * Math.PI), Math.sin(0.2 * Math.PI)];
    const turned = (y: number, z: number): [number, number] => {
      const [down, across] = [y - 2, z - 2.5];
      return [sin * across + cos * down + 2, cos * across - sin * down + 2.5];
    };
    compare(await trained(layer, x), x, turned, 0.25);
  });

  test('translation, mirrored at the border', async () => {
    const layer = layers.randomTranslation({ heightFactor: [0.3, 0.3], widthFactor: [-0.2, -0.2] });
    compare(await trained(layer, x), x, (y, z) => [y - 0.3 * height, z + 0.2 * width]);
  });

  test('zoom out of one axis and into the other', async () => {
    const layer = layers.randomZoom({ heightFactor: [0.4, 0.4], widthFactor: [-0.3, -0.3] });
    compare(await trained(layer, x), x, (y, z) => [(y - 2) * 1.4 + 2, (z - 2.5) * 0.7 + 2.5]);
  });

  test('brightness and contrast stay in the range', async () => {
    const bright = await trained(layers.randomBrightness({ factor: [0.2, 0.2], valueRange: [0, 1] }), x);
    bright.data.forEach((value, i) => {
      expect(value).toBeCloseTo(Math.min(x.data[i]! + 0.2, 1), 5);
    });
    const contrast = await trained(layers.randomContrast({ factor: 0.9, valueRange: [0, 1], seed: 2 }), x);
    expect(Math.min(...contrast.data)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...contrast.data)).toBeLessThanOrEqual(1);
  });

  test('wrap and nearest, the two other borders', async () => {
    const line = new NDArray(Float32Array.of(1, 2, 3, 4), [1, 1, 4, 1]);
    const moved = async (fillMode: 'wrap' | 'nearest' | 'reflect'): Promise<number[]> => {
      const out = await compute(() =>
        ops.image.affineTransform(line, [1, 0, 2, 0, 1, 0, 0, 0], { fillMode, interpolation: 'nearest' }),
      );
      return [...out.data];
    };
    expect(await moved('nearest')).toEqual([3, 4, 4, 4]);
    expect(await moved('reflect')).toEqual([3, 4, 4, 3]);
    expect(await moved('wrap')).toEqual([3, 4, 1, 2]);
  });
});

describe('augmentation by chance', () => {
  test('flips each image or leaves it', async () => {
    const x = image(40);
    const out = await trained(layers.randomFlip({ mode: 'horizontal', seed: 4 }), x);
    const kinds = Array.from({ length: 40 }, (_, n) => {
      const same = out.at(n, 1, 0, 0) === x.at(n, 1, 0, 0);
      for (let z = 0; z < width; z++) expect(out.at(n, 3, z, 1)).toBe(x.at(n, 3, same ? z : width - 1 - z, 1));
      return same;
    });
    expect(new Set(kinds)).toEqual(new Set([true, false]));
  });

  test('crops one part for the whole batch', async () => {
    const x = image(3);
    const out = await trained(layers.randomCrop({ height: 2, width: 3, seed: 1 }), x);
    expect(out.shape).toEqual([3, 2, 3, 2]);
    const places = [0, 1, 2, 3].flatMap((y) => [0, 1, 2, 3].map((z) => [y, z] as const));
    const found = places.filter(([y, z]) => out.at(0, 0, 0, 0) === x.at(0, y, z, 0));
    expect(found).toHaveLength(1);
    const [y, z] = found[0]!;
    for (const n of [0, 1, 2]) expect(out.at(n, 1, 2, 1)).toBe(x.at(n, y + 1, z + 2, 1));
  });

  test.each<[string, Layer]>([
    ['randomFlip', layers.randomFlip()],
    ['randomRotation', layers.randomRotation({ factor: 0.2 })],
    ['randomTranslation', layers.randomTranslation({ heightFactor: 0.2, widthFactor: 0.2 })],
    ['randomZoom', layers.randomZoom({ heightFactor: 0.2 })],
    ['randomContrast', layers.randomContrast({ factor: 0.2 })],
    ['randomBrightness', layers.randomBrightness({ factor: 0.2 })],
    ['randomCrop', layers.randomCrop({ height: 2, width: 2 })],
  ])('%s does nothing outside training, keeps its config and refuses wrong factors', async (_name, layer) => {
    const x = image(2);
    const out = await compute(() => layer.apply(ops.cast(x, 'float32')));
    expect(out.data).toEqual(x.data);
    const config = JSON.parse(JSON.stringify(layer.getConfig())) as object;
    const again = (layer.constructor as unknown as { fromConfig(config: object): Layer }).fromConfig(config);
    expect(JSON.parse(JSON.stringify(again.getConfig()))).toEqual(config);
    expect(() => layers.randomRotation({ factor: 2 })).toThrow(/from -1 to 1/);
  });
});
