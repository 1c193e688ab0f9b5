import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { LoneService } from '#test/support/lone-service.ts';
import { lockService } from './folder-locks.ts';
import { tryTake } from './process-lock.ts';

const TIMEOUT_MS = 120_000;

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'tribo-locks-'));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

describe('a service that is started by itself', () => {
  it(
    'is refused where the same runs already, and starts once that was killed; another one starts beside it',
    async () => {
      await using first = await LoneService.started('feature-service', dataDir);
      await using second = new LoneService('feature-service', dataDir);
      expect(await second.ended).toBe(1);
      expect(second.words).toContain(
        `feature-service: ${dataDir} is in use by another feature-service (process ${first.pid}): stop it, or set TRIBO_DATA_DIR to another folder`,
      );
      await using _other = await LoneService.started('ml-service', dataDir);
      await first.kill();
      await using _third = await LoneService.started('feature-service', dataDir);
    },
    TIMEOUT_MS,
  );

  it('is refused where another Tribo has the folder', async () => {
    writeFileSync(join(dataDir, 'platform.pid'), '1');
    await expect(lockService(dataDir, 'feature-service')).rejects.toThrow(
      `${dataDir} is in use by another Tribo (process 1): stop it`,
    );
  });
});

describe('a lock', () => {
  it.each([
    ['of a process that is gone', '999999999'],
    ['that was cut off', ''],
  ])('%s is taken over', (_whose, content) => {
    const path = join(dataDir, 'lock');
    writeFileSync(path, content);
    expect(tryTake(path)).toMatchObject({ release: expect.any(Function) });
  });

  it('is told of, and left to a process that runs', () => {
    const path = join(dataDir, 'lock');
    writeFileSync(path, '1');
    expect(tryTake(path)).toEqual({ holder: { pid: 1 } });
  });
});
