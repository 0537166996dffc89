#!/usr/bin/env node
import { didYouMean } from '../errors.js';

/** A command prints to stdout and returns its exit code: 0 well, 1 a fault was found, 2 wrong usage. */
export type Command = (args: string[]) => number | Promise<number>;

interface Entry {
  help: string;
  // Loaded on demand: `doctor` must work where the addon does not load.
  load: () => Promise<{ command: Command }>;
}

const commands: Record<string, Entry> = {
  info: { help: 'what runs here: versions, addon, instruction set, threads [--json]', load: () => import('./info.js') },
  doctor: { help: 'checks this system and says how to mend it [--json]', load: () => import('./doctor.js') },
  bench: {
    help: 'times the workloads of the benchmark [--workload] [--threads] [--peers] [--json FILE]',
    load: () => import('./bench.js'),
  },
  'build-native': {
    help: 'builds the addon from source, where no binary is shipped',
    load: () => import('./build-native.js'),
  },
};

function usage(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length));
  const lines = Object.entries(commands).map(([name, { help }]) => `  ${name.padEnd(width)}  ${help}`);
  return ['Usage: chainrule COMMAND [options]', '', ...lines].join('\n');
}

async function main([name = '--help', ...args]: string[]): Promise<number> {
  if (['--help', '-h', 'help'].includes(name)) {
    console.log(usage());
    return 0;
  }
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!entry) {
    console.error(`chainrule: unknown command "${name}"${didYouMean(name, Object.keys(commands))}\n\n${usage()}`);
    return 2;
  }
  const { command } = await entry.load();
  return command(args);
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const isUsage = (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS') ?? false;
    console.error(isUsage ? `chainrule: ${(error as Error).message}` : error);
    process.exitCode = isUsage ? 2 : 1;
  },
);
