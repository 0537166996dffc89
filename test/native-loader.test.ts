import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

// In a child each: what a process loads first decides, and the variables are read once. dist/ is what users run.
const loader = JSON.stringify(join(__dirname, '../dist/native-loader.js'));

function load(env: NodeJS.ProcessEnv, print: string) {
  const script = `try { const found = require(${loader}).loadAddon(); console.log(${print}); }
                  catch (error) { console.log(error.code + ' ' + error.message); }`;
  const { CHAINRULE_BINARY, OMP_WAIT_POLICY, ...rest } = process.env;
  return spawnSync(process.execPath, ['-e', script], { env: { ...rest, ...env }, encoding: 'utf8' }).stdout.trim();
}

describe('the loader', () => {
  test('takes exactly the file that CHAINRULE_BINARY names, or fails and says so', () => {
    const message = load({ CHAINRULE_BINARY: '/nowhere/x.node' }, '"loaded"');
    expect(message).toMatch(/^ERR_CHAINRULE_NATIVE_LOAD could not load the native addon on \S+/);
    expect(message).toContain('/nowhere/x.node (CHAINRULE_BINARY)');
    expect(message).toContain('correct the path, or unset it');
  });

  test('keeps idle OpenMP threads from spinning, unless the user decided', () => {
    expect(load({}, 'process.env.OMP_WAIT_POLICY')).toBe('PASSIVE');
    expect(load({ OMP_WAIT_POLICY: 'ACTIVE' }, 'process.env.OMP_WAIT_POLICY')).toBe('ACTIVE');
  });
});
