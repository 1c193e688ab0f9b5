import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

/** Whose bindings the stacks are made of, where a folder of providers has it. */
export const PROVIDER = 'registry.terraform.io/hashicorp/aws/5.100.0';
/** Ephemeral values and write-only attributes. */
const OLDEST = [1, 11] as const;
const LARGEST_OUTPUT_BYTES = 256 * 1024 * 1024;
/** A database takes the provider minutes, however fast it is there. */
const WITHIN_MS = 600_000;
const NO_QUESTION = ['-no-color', '-input=false'] as const;
/** Of what the provider asks at once: it waits far more than it works. */
const AT_ONCE = ['-parallelism=20'] as const;

const execute = promisify(execFile);

/** Terraform in the folder of one stack. */
export class Terraform {
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;

  constructor(folder: string, env: NodeJS.ProcessEnv) {
    this.#folder = folder;
    this.#env = env;
  }

  /** Its provider is the one that its environment names, else it comes from the mirror, else from its registry. */
  async init(mirror?: string): Promise<void> {
    await this.#run('init', [...NO_QUESTION, ...(mirror === undefined ? [] : [`-plugin-dir=${mirror}`])]);
  }

  async validate(): Promise<void> {
    await this.#run('validate', ['-no-color']);
  }

  /** It is kept, to be shown and applied. */
  async plan(): Promise<void> {
    await this.#run('plan', [...NO_QUESTION, ...AT_ONCE, '-out=plan']);
  }

  /** The plan that was made last, as JSON. */
  async planned(): Promise<unknown> {
    return JSON.parse(await this.#run('show', ['-json', 'plan']));
  }

  /** Applies the plan that was made last. */
  async apply(): Promise<void> {
    await this.#run('apply', [...NO_QUESTION, ...AT_ONCE, 'plan']);
  }

  /** What is there was read for the plan before: it is not read once more. */
  async destroy(): Promise<void> {
    await this.#run('destroy', [...NO_QUESTION, ...AT_ONCE, '-refresh=false', '-auto-approve']);
  }

  /** What is in its state, by address. */
  async held(): Promise<readonly string[]> {
    return (await this.#run('state', ['list'])).split('\n').filter((line) => line !== '');
  }

  async output(name: string): Promise<unknown> {
    return JSON.parse(await this.#run('output', ['-json', name]));
  }

  /** @throws Error with what Terraform said was wrong. */
  async #run(command: string, flags: readonly string[]): Promise<string> {
    const options = { cwd: this.#folder, env: this.#env, timeout: WITHIN_MS, maxBuffer: LARGEST_OUTPUT_BYTES };
    try {
      return (await execute('terraform', [command, ...flags], options)).stdout;
    } catch (error) {
      const { stderr = '', killed = false } = error as { readonly stderr?: string; readonly killed?: boolean };
      const what = killed ? `it took more than ${WITHIN_MS / 60_000} minutes` : stderr;
      throw new Error(`terraform ${command} of ${basename(this.#folder)}: ${what}`, { cause: error });
    }
  }
}

/** @throws Error where Terraform is not on the PATH, or too old for what the stacks ask of it. */
export async function terraformVersion(env: NodeJS.ProcessEnv): Promise<string> {
  const { stdout } = await execute('terraform', ['version', '-json'], { env, timeout: WITHIN_MS }).catch(
    (error: unknown) => {
      throw new Error('terraform is not on the PATH: install 1.11 or later, by which the stacks are applied', {
        cause: error,
      });
    },
  );
  const { terraform_version: version } = JSON.parse(stdout) as { readonly terraform_version: string };
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))
    throw new Error(`terraform is ${version}: install ${OLDEST.join('.')} or later, which has write-only attributes`);
  return version;
}

/** Where machines have providers without their registry, if one has that of the stacks: what TRIBO_TERRAFORM_MIRROR names comes first. */
export function providerMirror(env: NodeJS.ProcessEnv): string | undefined {
  const named = env['TRIBO_TERRAFORM_MIRROR'];
  if (named !== undefined && named !== '') {
    if (existsSync(join(named, PROVIDER))) return named;
    throw new Error(`TRIBO_TERRAFORM_MIRROR: ${named} has no ${PROVIDER}: name a folder that has it, or leave it out`);
  }
  const usual = [
    join(homedir(), '.terraform.d/plugins'),
    join(env['XDG_DATA_HOME'] ?? join(homedir(), '.local/share'), 'terraform/plugins'),
    ...[
      '/usr/local/share/terraform/plugins',
      '/usr/share/terraform/plugins',
      '/opt/terraform/plugins',
      '/opt/tf-plugins',
    ],
  ];
  return usual.find((root) => existsSync(join(root, PROVIDER)));
}
