import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { installed } from '../cache.ts';

const run = promisify(execFile);
const MODULE = 'github.com/rhysd/actionlint/cmd/actionlint@v1.7.12';

/** The linter of workflows of GitHub. */
export class Actionlint {
  /** Where it is installed, compiling it first where it is not. */
  static folder(): Promise<string> {
    return installed('actionlint', MODULE, async (into) => {
      await run('go', ['install', MODULE], { cwd: into, env: { ...process.env, GOBIN: into, GOFLAGS: '' } });
    });
  }

  /** A line each. Without paths of all workflows of the folder. */
  async findings(folder: string, paths: readonly string[] = []): Promise<readonly string[]> {
    const program = join(await Actionlint.folder(), 'actionlint');
    const { stdout } = await run(program, ['-no-color', '-oneline', ...paths], { cwd: folder }).catch(
      (error: unknown) => {
        // 1: it found something.
        if ((error as { readonly code?: unknown }).code === 1) return error as { readonly stdout: string };
        throw error;
      },
    );
    return stdout.split('\n').filter((line) => line !== '');
  }
}
