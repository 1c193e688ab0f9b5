import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { RunningRestores } from './running-restores.ts';

let parent: string;
let folder: string;
let restores: RunningRestores;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'tribo-restores-'));
  folder = join(parent, 'data');
  fill(folder, 'former');
  restores = new RunningRestores(folder);
});
afterEach(() => rmSync(parent, { recursive: true }));

function fill(path: string, content: string): void {
  mkdirSync(path);
  writeFileSync(join(path, 'content'), content);
}

const contentOf = (path: string) => readFileSync(join(path, 'content'), 'utf8');
const starts = async () => restores.runs('http://127.0.0.1:1');

describe('a restore of a running platform', () => {
  it('swaps the folder between two runs, keeps the former beside, and is done when the platform has started', async () => {
    fill(`${folder}.restored`, 'restored');
    await restores.proven(starts);
    await restores.restore();
    await restores.requested;
    expect(await restores.restoreOutcome()).toEqual({ state: 'under-way' });
    expect(restores.swapIfRequested()).toBe(true);
    expect(contentOf(folder)).toBe('restored');
    await restores.proven(starts);
    const outcome = await restores.restoreOutcome();
    expect(outcome).toMatchObject({ state: 'done', url: 'http://127.0.0.1:1' });
    expect(outcome?.state === 'done' && contentOf(outcome.aside ?? '')).toBe('former');
    expect(restores.swapIfRequested()).toBe(false);
  });

  it('goes back to the former data where the platform does not start on the restored, and says why', async () => {
    fill(`${folder}.restored`, 'restored');
    await restores.restore();
    restores.swapIfRequested();
    const ranOn: string[] = [];
    await restores.proven(async () => {
      ranOn.push(contentOf(folder));
      if (ranOn.length === 1) throw new Error('the alarm journal is damaged');
      restores.runs('http://127.0.0.1:1');
    });
    expect(ranOn).toEqual(['restored', 'former']);
    const outcome = await restores.restoreOutcome();
    expect(outcome).toMatchObject({ state: 'failed', error: 'the alarm journal is damaged' });
    expect(outcome?.state === 'failed' && contentOf(outcome.restored ?? '')).toBe('restored');
    expect(readdirSync(parent)).toHaveLength(2);
  });

  it('leaves an error of a platform that ran on the restored data to its caller', async () => {
    fill(`${folder}.restored`, 'restored');
    await restores.restore();
    restores.swapIfRequested();
    const failsLater = async () => {
      await starts();
      throw new Error('it could not stop');
    };
    await expect(restores.proven(failsLater)).rejects.toThrow('it could not stop');
    expect(contentOf(folder)).toBe('restored');
  });

  it('is refused without a folder that waits, and while another one is under way', async () => {
    await expect(restores.restore()).rejects.toMatchObject({ code: 'failed_precondition' });
    fill(`${folder}.restored`, 'restored');
    await restores.restore();
    await expect(restores.restore()).rejects.toMatchObject({ code: 'failed_precondition' });
  });

  it('that cannot rename leaves the former data in place and goes on with it', async () => {
    fill(`${folder}.restored`, 'restored');
    await restores.restore();
    rmSync(`${folder}.restored`, { recursive: true });
    expect(restores.swapIfRequested()).toBe(true);
    expect(await restores.restoreOutcome()).toMatchObject({
      state: 'failed',
      error: expect.stringContaining('ENOENT'),
    });
    expect(contentOf(folder)).toBe('former');
    expect(existsSync(`${folder}.restored`)).toBe(false);
  });
});
