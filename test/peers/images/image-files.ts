import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { installed } from '../cache.ts';
import type { Reader, Stage } from './reader.ts';

const project = join(import.meta.dirname, '../../..');
const run = promisify(execFile);

/** What is used of BuildKit's COPY. */
interface Copy {
  readonly SourcePaths: readonly string[];
  readonly DestPath: string;
  readonly From: string;
}

/** A stage that was laid out: its file system, and what its instructions have set so far. */
interface LaidOut {
  readonly root: string;
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly command: readonly string[];
  readonly healthCheck: readonly string[];
}

/**
 * The files that images hold, laid out in a folder by the Dockerfile's own instructions. Of the base image nothing is there, programs are this
 * machine's, and what is fetched from elsewhere (ADD) stays out.
 */
export class ImageFiles {
  readonly #stages: ReadonlyMap<string, Stage>;
  readonly #context: readonly string[];
  readonly #folder: string;
  readonly #laidOut = new Map<string, Promise<LaidOut>>();

  static async read(reader: Reader, folder: string): Promise<ImageFiles> {
    const stages = await reader.dockerfile(join(project, 'Dockerfile'));
    return new ImageFiles(stages, await reader.context(project), folder);
  }

  private constructor(stages: readonly Stage[], context: readonly string[], folder: string) {
    this.#stages = new Map(stages.map((stage) => [stage.name, stage]));
    this.#context = context;
    this.#folder = folder;
  }

  /** Once a stage; one that stands on another, or copies from it, has hard links of its files. */
  layOut(name: string): Promise<LaidOut> {
    const known = this.#laidOut.get(name) ?? this.#layOut(this.#stages.get(name)!);
    this.#laidOut.set(name, known);
    return known;
  }

  async #layOut({ name, base, commands }: Stage): Promise<LaidOut> {
    const root = join(this.#folder, name);
    const below = this.#stages.has(base) ? await this.layOut(base) : undefined;
    if (below) await link(below.root, root);
    else mkdirSync(root);
    let laidOut: LaidOut = { workdir: '/', env: {}, command: [], healthCheck: [], ...below, root };
    for (const { name: word, value } of commands)
      laidOut = { ...laidOut, ...(await this.#carryOut(word, value, laidOut)) };
    return laidOut;
  }

  async #carryOut(word: string, value: unknown, laidOut: LaidOut): Promise<Partial<LaidOut>> {
    const { root, workdir, env } = laidOut;
    const place = join(root, workdir);
    switch (word) {
      case 'WORKDIR': {
        const { Path } = value as { readonly Path: string };
        mkdirSync(join(root, Path), { recursive: true });
        return { workdir: Path };
      }
      case 'ENV': {
        const { Env } = value as { readonly Env: readonly { readonly Key: string; readonly Value: string }[] };
        return { env: { ...env, ...Object.fromEntries(Env.map(({ Key, Value }) => [Key, Value])) } };
      }
      case 'COPY':
        await this.#copy(value as Copy, place);
        return {};
      case 'RUN':
        await carryOutCommand((value as { readonly CmdLine: readonly string[] }).CmdLine.join('\n'), root, place);
        return {};
      case 'CMD':
      case 'ENTRYPOINT':
        return { command: (value as { readonly CmdLine: readonly string[] }).CmdLine };
      case 'HEALTHCHECK':
        return {
          healthCheck: (value as { readonly Health: { readonly Test: readonly string[] } }).Health.Test.slice(1),
        };
      default:
        return {};
    }
  }

  async #copy({ SourcePaths, DestPath, From }: Copy, place: string): Promise<void> {
    const isFolder = DestPath.endsWith('/');
    for (const source of SourcePaths) {
      const to = (path: string) => join(place, DestPath, isFolder && path === '' ? source : path);
      if (From) {
        const { root } = await this.layOut(From);
        await link(join(root, source), join(place, DestPath));
        continue;
      }
      const found = this.#context.filter((file) => file === source || file.startsWith(`${source}/`));
      if (found.length === 0) throw new Error(`COPY ${source}: .dockerignore leaves nothing of it`);
      for (const file of found) {
        const target = to(relative(source, file));
        mkdirSync(dirname(target), { recursive: true });
        copyFileSync(join(project, file), target);
      }
    }
  }
}

/** Runs it in the folder. What it would do to the whole file system it does to the image's. */
async function carryOutCommand(command: string, root: string, place: string): Promise<void> {
  if (!/\bnpm ci\b/.test(command)) {
    await run('sh', ['-c', command.replaceAll(' /var/', ` ${root}/var/`)], { cwd: place });
  } else if (command.includes('--omit=dev')) {
    const manifests = ['package.json', 'package-lock.json', '.npmrc'].map((file) =>
      readFileSync(join(place, file), 'utf8'),
    );
    const key = createHash('sha256')
      .update([command, ...manifests].join('\n'))
      .digest('hex');
    const packages = await installed('image-packages', key, async (into) => {
      cpSync(place, into, { recursive: true });
      await run('sh', ['-c', command], { cwd: into });
    });
    await run('cp', ['-a', join(packages, 'node_modules'), join(place, 'node_modules')]);
  }
  // All packages of the lock file, as this checkout has them.
  else symlinkSync(join(project, 'node_modules'), join(place, 'node_modules'));
}

/** A folder as hard links beside it; into one that is there already. */
async function link(from: string, to: string): Promise<void> {
  mkdirSync(to, { recursive: true });
  await run('cp', ['-a', '--link', `${from}/.`, to]);
}
