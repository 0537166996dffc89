/** Digit images that this example draws itself: strokes under a random affine map, with blur and noise, from a seed. */

export interface Images {
  /** [count, 28, 28, 1], values from 0 to 1. */
  pixels: Float32Array;
  labels: Int32Array;
  count: number;
}

export const SIZE = 28;

type Point = readonly [x: number, y: number];

/** Points of an elliptic arc, angles in turns (0 = right, 0.25 = down). */
function arc(x: number, y: number, rx: number, ry: number, from: number, to: number): Point[] {
  const steps = 10;
  return Array.from({ length: steps + 1 }, (_, i) => {
    const angle = 2 * Math.PI * (from + ((to - from) * i) / steps);
    return [x + rx * Math.cos(angle), y + ry * Math.sin(angle)] as const;
  });
}

/** Each digit as lines through points of the unit square, y down. */
const STROKES: readonly Point[][][] = [
  [arc(0.5, 0.5, 0.24, 0.36, 0, 1)],
  [
    [
      [0.36, 0.28],
      [0.52, 0.14],
      [0.52, 0.86],
    ],
  ],
  [[...arc(0.5, 0.34, 0.22, 0.2, 0.5, 1.08), [0.28, 0.86], [0.74, 0.86]]],
  [arc(0.47, 0.32, 0.2, 0.18, 0.55, 1.25), arc(0.47, 0.67, 0.23, 0.19, 0.75, 1.45)],
  [
    [
      [0.62, 0.86],
      [0.62, 0.14],
      [0.26, 0.62],
      [0.76, 0.62],
    ],
  ],
  [[[0.7, 0.14], [0.34, 0.14], [0.32, 0.46], ...arc(0.48, 0.64, 0.22, 0.22, 0.75, 1.42)]],
  [
    [
      [0.64, 0.14],
      [0.4, 0.36],
      [0.29, 0.62],
    ],
    arc(0.49, 0.66, 0.2, 0.2, 0.5, 1.5),
  ],
  [
    [
      [0.27, 0.14],
      [0.73, 0.14],
      [0.43, 0.86],
    ],
  ],
  [arc(0.5, 0.32, 0.18, 0.17, 0, 1), arc(0.5, 0.67, 0.22, 0.19, 0, 1)],
  [
    arc(0.5, 0.34, 0.2, 0.2, 0, 1),
    [
      [0.7, 0.36],
      [0.66, 0.62],
      [0.54, 0.86],
    ],
  ],
];

/** Uniform numbers in [0, 1) from a 32-bit seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function squaredDistance(x: number, y: number, a: Point, b: Point): number {
  const dx = b[0] - a[0];
  const dy = b[1] - a[1];
  const along = Math.max(0, Math.min(1, ((x - a[0]) * dx + (y - a[1]) * dy) / (dx * dx + dy * dy || 1)));
  const [u, v] = [x - a[0] - along * dx, y - a[1] - along * dy];
  return u * u + v * v;
}

/** Draws one digit into `out`, SIZE * SIZE pixels. */
function draw(digit: number, random: () => number, out: Float32Array): void {
  const spread = (width: number) => (random() * 2 - 1) * width;
  const [angle, shear, scaleX, scaleY] = [spread(0.3), spread(0.25), 0.9 + spread(0.22), 0.9 + spread(0.18)];
  const [shiftX, shiftY, wobble] = [spread(0.09), spread(0.09), 0.025];
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const place = ([x, y]: Point): Point => {
    const u = (x - 0.5 + shear * (0.5 - y)) * scaleX + spread(wobble);
    const v = (y - 0.5) * scaleY + spread(wobble);
    return [0.5 + cos * u - sin * v + shiftX, 0.5 + sin * u + cos * v + shiftY];
  };
  const lines = (STROKES[digit] as Point[][]).map((stroke) => stroke.map(place));
  const thickness = 0.035 + random() * 0.04;
  const noise = 0.12 + random() * 0.1;
  for (let row = 0; row < SIZE; row++) {
    for (let column = 0; column < SIZE; column++) {
      const [x, y] = [(column + 0.5) / SIZE, (row + 0.5) / SIZE];
      let squared = 1;
      for (const line of lines) {
        for (let i = 1; i < line.length; i++) {
          squared = Math.min(squared, squaredDistance(x, y, line[i - 1] as Point, line[i] as Point));
        }
      }
      const ink = 1 / (1 + Math.exp((Math.sqrt(squared) - thickness) * 90));
      out[row * SIZE + column] = Math.max(0, Math.min(1, ink + (random() + random() - 1) * noise));
    }
  }
}

/** Draws `count` digits, each class equally often, in random order. */
export function drawDigits(count: number, seed: number): Images {
  const random = randomFrom(seed);
  const pixels = new Float32Array(count * SIZE * SIZE);
  const labels = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    labels[i] = i % 10;
    draw(i % 10, random, pixels.subarray(i * SIZE * SIZE, (i + 1) * SIZE * SIZE));
  }
  return { pixels, labels, count };
}
