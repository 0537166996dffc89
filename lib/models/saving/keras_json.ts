/** Numbers of optimizers and schedules that count things; all others are measures, which Keras wants as Python floats. */
const counts = new Set([
  'decay_steps',
  'first_decay_steps',
  'warmup_steps',
  'boundaries',
  'ema_overwrite_frequency',
  'gradient_accumulation_steps',
  'initial_scale_steps',
  'dynamic_growth_steps',
  'sync_period',
  'ns_steps',
]);

/**
 * JSON for Python: JavaScript writes 1.0 as `1`, which Python reads as an int, and Keras refuses an int as learning rate
 * or momentum.
 */
export function kerasJson(value: unknown): string {
  return write(value, false);
}

function write(value: unknown, floats: boolean): string {
  if (typeof value === 'number' && floats && Number.isInteger(value) && Math.abs(value) < 1e21) return `${value}.0`;
  if (Array.isArray(value)) return `[${value.map((item) => write(item ?? null, floats)).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null);
  const { module } = value as { module?: unknown };
  const measures = floats || (typeof module === 'string' && module.startsWith('keras.optimizers'));
  const items = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .map(([key, item]) => {
      const measure = key === 'loss_weights' || (measures && !counts.has(key));
      return `${JSON.stringify(key)}: ${write(item, measure)}`;
    });
  return `{${items.join(', ')}}`;
}
