import { mkdirSync, readdirSync, readFileSync } from 'node:fs';

const PRELOADED = new URL('./record-packages.ts', import.meta.url);

/** Which packages were loaded by processes that were started with {@link env}, once these have ended. */
export class LoadedPackages {
  readonly env: Readonly<Record<string, string>>;
  readonly #folder: string;

  constructor(folder: string) {
    mkdirSync(folder, { recursive: true });
    this.#folder = folder;
    this.env = { NODE_OPTIONS: `--import=${PRELOADED.href}`, RECORDED_PACKAGES: folder };
  }

  /** In alphabetical order, of all the processes together. */
  names(): readonly string[] {
    const files = readdirSync(this.#folder).map((name) => readFileSync(`${this.#folder}/${name}`, 'utf8'));
    return [...new Set(files.flatMap((text) => JSON.parse(text) as string[]))].sort();
  }
}
