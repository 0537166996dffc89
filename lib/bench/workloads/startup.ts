import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { callContender, type Ready, type Workload } from '../workload.js';

const PACKAGE = join(__dirname, '../../entry.js');

/** The most resident memory so far, in bytes, as the last word. getrusage would count that of the parent before exec. */
const RESIDENT = `
let status = '';
try { status = require('node:fs').readFileSync('/proc/self/status', 'utf8'); } catch {}
console.log(Number(/VmHWM:\\s*(\\d+) kB/.exec(status)?.[1] ?? process.memoryUsage().rss / 1024) * 1024)`;

const prediction = `
const { layers, sequential } = require(${JSON.stringify(PACKAGE)});
const dense = (units, activation, options) => layers.dense({ units, activation, ...options });
const model = sequential([dense(16, 'relu', { inputShape: [8] }), dense(16, 'relu'), dense(3, 'softmax')]);
model.predictSync(new Float32Array(8));
${RESIDENT}`;

/** Whole processes of Node, from their start to their end. */
async function processes(program: string): Promise<Ready> {
  let resident = 0;
  return {
    call: async () => {
      resident = Math.max(resident, Number(await outputOf(program)));
    },
    facts: () => ({ rss: resident }),
  };
}

function outputOf(program: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve(output) : reject(new Error(`node ended with exit code ${code ?? 'none'}`)),
    );
  });
}

export const startup: Workload = {
  id: 'W22',
  name: 'start to first prediction',
  units: [
    {
      name: 'start',
      what: 'a process that loads Chainrule, makes a tiny MLP, predicts once and ends',
      contender: () => callContender(() => processes(prediction)),
      beside: () => [callContender(() => processes(RESIDENT), 'node alone')],
    },
  ],
};
