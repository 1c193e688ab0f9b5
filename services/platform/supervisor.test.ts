import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '#core/contracts/until.ts';
import { supervise, type Supervised } from './supervisor.ts';

let folder: string;
let service: Supervised;
let restarts: string[];
let stopping: AbortController;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-supervisor-'));
  const entry = join(folder, 'service.mjs');
  writeFileSync(entry, `process.on('disconnect', () => process.exit()); process.send('ready');`);
  restarts = [];
  stopping = new AbortController();
  const onRestart = (name: string, cause: string) => restarts.push(`${name} ${cause}`);
  service = await supervise({ name: 'a-service', entry, env: () => ({}) }, onRestart, stopping.signal);
});
afterEach(async () => {
  await service.stop();
  rmSync(folder, { recursive: true });
});

describe('a supervised service', () => {
  it('is started again when it ends unasked', async () => {
    const first = service.pid()!;
    process.kill(first, 'SIGTERM');
    await until(() => service.ready() && service.pid() !== first);
    expect(restarts).toEqual(['a-service ended with SIGTERM']);
    expect(service.restarts()).toBe(1);
  });

  it('is neither started again nor said to be, when a signal to the whole process group stops the platform', async () => {
    stopping.abort(new Error('it was asked to stop'));
    process.kill(service.pid()!, 'SIGTERM');
    await until(() => service.pid() === undefined);
    await service.stop();
    expect(restarts).toEqual([]);
    expect([service.restarts(), service.pid()]).toEqual([0, undefined]);
  });

  it('is not started again when the platform is stopped while it waits for that', async () => {
    process.kill(service.pid()!, 'SIGTERM');
    await until(() => service.restarts() === 1);
    stopping.abort(new Error('it was asked to stop'));
    await service.stop();
    expect(service.pid()).toBeUndefined();
  });
});
