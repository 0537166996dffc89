import { parseArgs } from 'node:util';
import type { DeviceInfo } from '../devices.js';
import { mappedLibraries, systemFacts } from './system.js';

/** `chainrule info`: what runs here. Ask for its output in a bug report. */
export async function command(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { json: { type: 'boolean' } } });
  const { native, nativeOrigin } = await import('../native.js');
  const { autotuneFile, listDevices } = await import('../devices.js');
  const { devices, reason } = await listDevices();
  const libraries = await native.deviceLibraries().catch((error: Error) => error.message);
  const facts = {
    // Everything that the addon says about itself, so that a new fact of the engine appears without a change here.
    ...native.info(),
    cuda: devices.length > 0 ? devices.map(deviceText) : reason,
    ...(devices.length > 0 ? { cudaLibraries: libraries, cudaAutotune: autotuneFile() ?? 'off' } : {}),
    addon: nativeOrigin,
    environment: environment(),
    openmpLibraries: mappedLibraries(/lib(gomp|omp|iomp5)[.-]/),
    system: systemFacts(),
  };
  if (values.json) console.log(JSON.stringify(facts, null, 2));
  else console.log(table(facts).join('\n'));
  return 0;
}

function deviceText({ id, name, computeCapability, memoryBytes, freeBytes, driver }: DeviceInfo): string {
  const memory = `${(memoryBytes / 2 ** 30).toFixed(0)} GiB`;
  const free = freeBytes === undefined ? '' : ` (${(freeBytes / 2 ** 30).toFixed(1)} free)`;
  return `${id} ${name} (compute capability ${computeCapability}, ${memory}${free}, driver ${driver})`;
}

/** The variables that change how the engine runs. */
function environment(): Record<string, string> {
  const names = Object.keys(process.env).filter((name) => /^(CHAINRULE_|OMP_|KMP_|GOMP_)/.test(name));
  return Object.fromEntries(names.sort().map((name) => [name, process.env[name]!]));
}

/** One line a fact: `threads.count   4`. */
export function table(facts: object, prefix = ''): string[] {
  const rows = flatten(facts, prefix);
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
}

function flatten(facts: object, prefix: string): [name: string, value: string][] {
  return Object.entries(facts).flatMap(([key, value]: [string, unknown]) => {
    const name = `${prefix}${key}`;
    if (Array.isArray(value)) return [[name, value.join(', ') || 'none'] as [string, string]];
    if (typeof value === 'object' && value !== null) return flatten(value, `${name}.`);
    if (typeof value === 'number' && /bytes$/i.test(key)) return [[name, `${(value / 2 ** 30).toFixed(2)} GiB`]];
    return [[name, value === null ? 'none' : String(value)]];
  });
}
