import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { CommitGate, whileNobodyCommits } from './opening-gate.ts';

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tribo-gate-'));
  path = join(directory, 'opening.lock');
});

afterEach(() => rmSync(directory, { recursive: true }));

/** Opens in a process of its own, and prints when it has. */
function openElsewhere() {
  const module = JSON.stringify(join(import.meta.dirname, 'opening-gate.ts'));
  const program = `import { whileNobodyCommits } from ${module};
process.stdout.write('waiting\\n');
whileNobodyCommits(${JSON.stringify(path)}, () => process.stdout.write('opened\\n'));`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  return { child, said: () => said };
}

describe('the gate between commits and openings', () => {
  it('lets several commits of one process in at once, and an opening when all have left', async () => {
    const gate = new CommitGate(path);
    await gate.enter();
    await gate.enter();
    gate.leave();
    const opener = openElsewhere();
    await once(opener.child.stdout, 'data');
    gate.enterNow();
    gate.leave();
    expect(opener.said()).toBe('waiting\n');
    gate.leave();
    await once(opener.child, 'exit');
    expect(opener.said()).toBe('waiting\nopened\n');
    gate.close();
  });

  it('keeps a commit waiting while a log is opened, and lets it in afterwards', async () => {
    const gate = new CommitGate(path);
    let entered: Promise<void> | undefined;
    let isIn = false;
    whileNobodyCommits(path, () => {
      entered = gate.enter().then(() => {
        isIn = true;
      });
    });
    expect(isIn).toBe(false);
    await entered;
    gate.leave();
    gate.close();
  });

  it('hands on what opening throws, and is open again', async () => {
    const failure = new Error('no such log');
    const open = () => {
      throw failure;
    };
    expect(() => whileNobodyCommits(path, open)).toThrow(failure);
    const gate = new CommitGate(path);
    await gate.enter();
    gate.leave();
    gate.close();
  });
});
