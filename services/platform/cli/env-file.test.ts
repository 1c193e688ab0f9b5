import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { loadEnvFile } from './env-file.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-env-file-'));
  path = join(folder, '.env');
});
afterEach(() => rmSync(folder, { recursive: true }));

function loaded(text: string, env: Record<string, string> = {}): Record<string, string | undefined> {
  writeFileSync(path, text);
  loadEnvFile(path, env);
  return env;
}

describe('an .env file', () => {
  it('adds its variables to the environment, which wins', () => {
    const text = '# Ports\nTRIBO_HTTP_PORT=9000\nexport TRIBO_SITE = "akron"\r\n\nTRIBO_HOST=0.0.0.0\n';
    expect(loaded(text, { TRIBO_HOST: '127.0.0.1' })).toEqual({
      TRIBO_HTTP_PORT: '9000',
      TRIBO_SITE: 'akron',
      TRIBO_HOST: '127.0.0.1',
    });
  });

  it('may have a value of several lines', () => {
    expect(loaded('A="one\ntwo"\nB=3\n')).toEqual({ A: 'one\ntwo', B: '3' });
  });

  it('that is a copy of .env.example changes nothing', () => {
    copyFileSync(new URL('../../../.env.example', import.meta.url), path);
    const env = {};
    loadEnvFile(path, env);
    expect(env).toEqual({});
  });

  it('that is not there changes nothing', () => {
    const env = {};
    loadEnvFile(path, env);
    expect(env).toEqual({});
  });

  it.each(['TRIBO_HTTP_PORT 9000', 'TRIBO_HTTP_PORT: 9000', '{"httpPort":9000}', '=9000'])(
    'with the line %j is refused with its number, not its content',
    (line) => {
      expect(() => loaded(`A=1\n${line}\n`)).toThrow(`${path}, line 2 is no "NAME=value" and no comment: correct it`);
    },
  );

  it('that cannot be read is refused', () => {
    mkdirSync(path);
    expect(() => loadEnvFile(path, {})).toThrow(`${path} cannot be read (EISDIR): make it readable, or move it away`);
  });
});
