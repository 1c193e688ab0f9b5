import { execFile } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { installed } from '../cache.ts';

const run = promisify(execFile);
const OUTPUT_BYTES = 16 * 1024 * 1024;

/** What go.mod and go.sum beside its program pin, and the program. */
const READER = 'buildkit v0.34.2, patternmatcher v0.6.1, compose-go v2.16.2, program 1';

/** An instruction of a Dockerfile: the value is BuildKit's own. */
export interface Instruction {
  readonly name: string;
  readonly value: unknown;
}

export interface Stage {
  readonly name: string;
  /** Another stage, or an image. */
  readonly base: string;
  readonly commands: readonly Instruction[];
}

/** Reads a Dockerfile, .dockerignore and a compose file as the programs that they are for do. */
export class Reader {
  readonly #program: string;

  /** Where it is installed, compiling it first where it is not. */
  static folder(): Promise<string> {
    return installed('image-reader', READER, async (into) => {
      cpSync(join(import.meta.dirname, 'reader'), into, { recursive: true });
      await run('go', ['build', '-o', join(into, 'reader'), '.'], { cwd: into });
    });
  }

  static async open(): Promise<Reader> {
    return new Reader(join(await Reader.folder(), 'reader'));
  }

  private constructor(program: string) {
    this.#program = program;
  }

  /** @throws Error with the parser's words */
  async dockerfile(path: string): Promise<readonly Stage[]> {
    return (await this.#read('dockerfile', path)) as readonly Stage[];
  }

  /** The files that a build of the folder may copy, relative to it. */
  async context(folder: string): Promise<readonly string[]> {
    return (await this.#read('context', folder)) as readonly string[];
  }

  /** The project with its defaults filled in, all its profiles taken. @throws Error with the loader's words */
  async compose(path: string, env: Readonly<Record<string, string>>): Promise<Readonly<Record<string, unknown>>> {
    return (await this.#read('compose', path, env)) as Readonly<Record<string, unknown>>;
  }

  async #read(what: string, path: string, env: Readonly<Record<string, string>> = {}): Promise<unknown> {
    const { stdout } = await run(this.#program, [what, path], {
      maxBuffer: OUTPUT_BYTES,
      env: { ...process.env, ...env },
    });
    return JSON.parse(stdout);
  }
}
