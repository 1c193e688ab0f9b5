import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { IdListReader, IdListWriter } from './id-list.ts';

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tribo-ids-'));
  path = join(directory, 'ids');
});

afterEach(() => rmSync(directory, { recursive: true }));

describe('a list of ids', () => {
  it('is read on from where it was left, however long it is', () => {
    const list = new IdListReader(path);
    expect(list.read()).toEqual([]);
    const ids = Array.from({ length: 20_000 }, (_, index) => `id-${index}`);
    const writer = new IdListWriter(path);
    writer.append(ids.slice(0, 15_000));
    expect(list.read()).toEqual(ids.slice(0, 15_000));
    writer.append(ids.slice(15_000));
    expect(list.read()).toEqual(ids);
  });

  it('does not have what a killed writer wrote half of, nor lets it run into what the next one writes', () => {
    const list = new IdListReader(path);
    new IdListWriter(path).append(['one']);
    appendFileSync(path, 'tw');
    expect(list.read()).toEqual(['one']);
    new IdListWriter(path).append(['two', 'three']);
    expect(list.read()).toEqual(['one', 'two', 'three']);
  });
});
