// What the peers in JavaScript share: the lines of JSON that they answer (see lib/bench/peers.ts).
import { createInterface } from 'node:readline';
import { timeBlock } from '../../dist/bench/measure.js';

/** variants(workload, unit) names what can run; prepare(workload, unit, variant) gives { loss, run }. */
export async function serve(variants, prepare) {
  let prepared = new Map();
  for await (const line of createInterface({ input: process.stdin })) {
    const { do: what, workload, unit, variant, seconds } = JSON.parse(line);
    let answer;
    try {
      if (what === 'variants') {
        prepared = new Map(); // lets go of the unit before
        answer = { variants: variants(workload, unit) };
      } else if (what === 'prepare') {
        const ready = await prepare(workload, unit, variant);
        prepared.set(variant, ready.run);
        answer = { loss: ready.loss ?? null };
      } else {
        answer = { seconds: await timeBlock(prepared.get(variant), seconds) };
      }
    } catch (error) {
      answer = { error: `${workload} ${unit} ${variant}: ${error}` };
    }
    console.log(JSON.stringify(answer));
  }
  process.exit(0); // workers of peers would keep the process alive
}
