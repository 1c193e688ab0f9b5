import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Lazy, TerraformOutput, TerraformStack } from 'cdktf';
import { describe, expect, it } from '@jest/globals';
import { siteApp } from './site-app.ts';

describe('a value that is resolved later', () => {
  it('keeps nothing of where it was made, which the message about one that cannot be resolved says', () => {
    const outdir = mkdtempSync(join(tmpdir(), 'tribo-app-'));
    try {
      const app = siteApp(outdir);
      const produce = (): never => {
        throw new Error('no such port');
      };
      new TerraformOutput(new TerraformStack(app, 'data'), 'ports', { value: Lazy.anyValue({ produce }) });
      expect(() => app.synth()).toThrow(
        /^Resolution error: no such port\.\nObject creation stack:\n {2}at not kept: .*infra\/site-app\.ts/,
      );
    } finally {
      rmSync(outdir, { recursive: true });
    }
  });
});
