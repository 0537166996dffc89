import type { FitParams } from '../callbacks/callback.js';
import type { Logs } from './programs.js';

const width = 20;

/** Keras's progress on stderr: a bar that redraws itself on a terminal, one line per epoch elsewhere. */
export class Progress {
  /** Whether steps are shown while they run. */
  readonly live: boolean;
  private readonly out: NodeJS.WriteStream = process.stderr;
  private epoch = 0;
  private started = 0;
  private first: { step: number; time: number } | undefined;
  private drawn = 0;
  private asking = false;
  private shown: Record<string, number> = {};

  constructor(private readonly params: FitParams) {
    this.live = params.verbose === 1 && this.out.isTTY === true;
  }

  begin(epoch: number): void {
    this.epoch = epoch;
    this.started = performance.now();
    this.first = undefined;
    this.shown = {};
    if (this.live) this.out.write(`Epoch ${epoch + 1}/${this.params.epochs}\n`);
  }

  /** Redraws at most every 50 ms; metrics are asked for one at a time and shown when they come. */
  update(steps: number, logs: (() => Promise<Logs>) | undefined): void {
    const now = performance.now();
    // The first step compiles, so it is left out of the estimate.
    this.first ??= { step: steps, time: now };
    if (now - this.drawn < 50) return;
    this.drawn = now;
    const { epoch } = this;
    if (logs && !this.asking) {
      this.asking = true;
      logs()
        .then((values) => {
          if (this.epoch === epoch) this.shown = values;
        })
        .catch(() => {}) // the step itself reports what went wrong
        .finally(() => {
          this.asking = false;
        });
    }
    const total = this.params.steps;
    const perStep = this.perStep(steps, now);
    const rest = total === undefined ? '' : ` ${clock((total - steps) * perStep)}`;
    this.out.write(`\r${this.bar(steps, total)}${rest} ${unit(perStep)}/step${format(this.shown)}\x1b[K`);
  }

  end(steps: number, logs: Logs): void {
    const now = performance.now();
    const elapsed = (now - this.started) / 1000;
    const perStep = this.perStep(steps, now);
    const count = `${steps}/${this.params.steps ?? steps}`;
    if (this.live)
      this.out.write(
        `\r${this.bar(steps, this.params.steps ?? steps)} ${elapsed.toFixed(0)}s ${unit(perStep)}/step${format(logs)}\x1b[K\n`,
      );
    else
      this.out.write(
        `Epoch ${this.epoch + 1}/${this.params.epochs} - ${count} - ${elapsed.toFixed(0)}s - ${unit(perStep)}/step${format(logs)}\n`,
      );
    // Metrics that were asked for late belong to no line any more.
    this.epoch = -1;
  }

  private perStep(steps: number, now: number): number {
    const { first } = this;
    if (first && steps > first.step) return (now - first.time) / 1000 / (steps - first.step);
    return (now - this.started) / 1000 / Math.max(1, steps);
  }

  private bar(steps: number, total: number | undefined): string {
    if (total === undefined) return `${steps}/Unknown`;
    const done = Math.min(width, Math.floor((width * steps) / total));
    const colour = this.out.hasColors?.() ?? false;
    const [green, grey, off] = colour ? ['\x1b[32m', '\x1b[37m', '\x1b[0m'] : ['', '', ''];
    const count = `${String(steps).padStart(String(total).length)}/${total}`;
    return `${count} ${green}${'━'.repeat(done)}${off}${grey}${(colour ? '━' : '─').repeat(width - done)}${off}`;
  }
}

/** ` - accuracy: 0.8912 - loss: 0.3804`; small numbers as 1.0000e-04. */
export function format(logs: Readonly<Record<string, number>>): string {
  const number = (value: number): string =>
    Math.abs(value) > 1e-3 || value === 0 || !Number.isFinite(value) ? value.toFixed(4) : exponent(value);
  return Object.entries(logs)
    .map(([name, value]) => ` - ${name}: ${number(value)}`)
    .join('');
}

function exponent(value: number): string {
  return value.toExponential(4).replace(/e([+-])(\d)$/, 'e$10$2');
}

function unit(seconds: number): string {
  if (seconds >= 1 || seconds === 0) return `${seconds.toFixed(0)}s`;
  return seconds >= 1e-3 ? `${(seconds * 1e3).toFixed(0)}ms` : `${(seconds * 1e6).toFixed(0)}us`;
}

function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number): string => String(value).padStart(2, '0');
  if (whole < 60) return `${whole}s`;
  const minutes = `${Math.floor((whole % 3600) / 60)}:${two(whole % 60)}`;
  return whole < 3600 ? minutes : `${Math.floor(whole / 3600)}:${minutes.padStart(5, '0')}`;
}
