import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parseRule } from '#core/domain/rule.ts';
import { readDescription } from './described-file.ts';
import { namedRule } from './rule-commands.ts';

describe('a rule in a file', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tribo-rule-'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  function fileOf(text: string) {
    const path = join(folder, 'rule.yaml');
    writeFileSync(path, text);
    return readDescription(path);
  }

  it('that ships as an example is one', () => {
    const path = fileURLToPath(new URL('../../../environments/rule-example.yaml', import.meta.url));
    const { value } = namedRule(readDescription(path), 'spindle-hot');
    expect(parseRule(value)).toMatchObject({ ok: true, rule: { id: 'spindle-hot', kind: 'threshold' } });
  });

  it('takes the id of the command where it has none', () => {
    expect(namedRule(fileOf('kind: threshold\n'), 'hot').value).toEqual({ id: 'hot', kind: 'threshold' });
  });

  it('is refused, with the line, where it has another', () => {
    const file = fileOf('kind: threshold\nid: cold\n');
    expect(() => namedRule(file, 'hot')).toThrow(`${file.path}:2: id: the rule is cold, but the command names hot`);
  });

  it.each(['- a\n', 'text\n', ''])('that is none at all (%j) is left to the platform to judge', (text) => {
    const file = fileOf(text);
    expect(namedRule(file, 'hot')).toBe(file);
  });
});
