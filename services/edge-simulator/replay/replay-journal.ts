import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { PortError } from '#core/errors.ts';
import { systemErrorCode } from '../system-error.ts';
import type { Recording } from './source.ts';

const savedSchema = z.object({
  format: z.literal(1),
  startedAtMs: z.number(),
  recordings: z.record(z.string(), z.object({ bytes: z.number(), acknowledged: z.int().min(0) })),
});

type Saved = z.infer<typeof savedSchema>;

const SAVE_EVERY_MS = 1000;

/**
 * How far an interrupted replay came, in a small file, so that the same replay goes on from there with the same times and ids. It may lag
 * behind by a second: what was acknowledged since is sent again under its id, and the platform keeps one.
 */
export class ReplayJournal {
  readonly #path: string | undefined;
  readonly #saved: Saved | undefined;
  readonly #startedAtMs: number;
  readonly #progress = new Map<string, RecordingProgress>();
  #changed = false;
  #timer: NodeJS.Timeout | undefined;
  #saving: Promise<void> = Promise.resolve();

  /** Without a path nothing is kept. @throws PortError invalid_argument for a file that is no journal. */
  static async open(path: string | undefined, nowMs: number): Promise<ReplayJournal> {
    const saved = path === undefined ? undefined : await read(path);
    return new ReplayJournal(path, saved, nowMs);
  }

  private constructor(path: string | undefined, saved: Saved | undefined, nowMs: number) {
    this.#path = path;
    this.#saved = saved;
    this.#startedAtMs = saved?.startedAtMs ?? nowMs;
    if (path !== undefined) this.#timer = setInterval(() => void this.#save().catch(() => undefined), SAVE_EVERY_MS);
  }

  /** When the replay was first begun: what its times are shifted to. */
  get startedAtMs(): number {
    return this.#startedAtMs;
  }

  get isResumed(): boolean {
    return this.#saved !== undefined;
  }

  /** The progress of a recording. @throws PortError failed_precondition when its file is another one than before the interruption. */
  of({ name, bytes }: Recording): RecordingProgress {
    const before = this.#saved?.recordings[name];
    if (before && before.bytes !== bytes) {
      throw new PortError(
        'failed_precondition',
        `${name} has changed since its replay was interrupted: begin a new one (--anew)`,
      );
    }
    const progress = new RecordingProgress(bytes, before?.acknowledged ?? 0, () => (this.#changed = true));
    this.#progress.set(name, progress);
    return progress;
  }

  /** Resolves once it is written when the replay began: before that, nothing may be sent, as its ids could not be made again. */
  begin(): Promise<void> {
    this.#changed = true;
    return this.#save();
  }

  /** Writes down what was reached; a replay that is complete leaves no journal. */
  async close(isComplete: boolean): Promise<void> {
    clearInterval(this.#timer);
    if (this.#path === undefined) return;
    await this.#saving.catch(() => undefined);
    if (isComplete) await rm(this.#path, { force: true });
    else await this.#save();
  }

  #save(): Promise<void> {
    this.#saving = this.#saving.catch(() => undefined).then(() => this.#write());
    return this.#saving;
  }

  async #write(): Promise<void> {
    if (!this.#changed || this.#path === undefined) return;
    this.#changed = false;
    const recordings = Object.fromEntries(
      [...this.#progress].map(([name, { bytes, acknowledged }]) => [name, { bytes, acknowledged }]),
    );
    const saved: Saved = { format: 1, startedAtMs: this.#startedAtMs, recordings };
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    await writeFile(`${this.#path}.new`, JSON.stringify(saved));
    await rename(`${this.#path}.new`, this.#path);
  }
}

/** Which records of a recording are done with, though they are acknowledged out of order. */
export class RecordingProgress {
  readonly bytes: number;
  readonly #onChange: () => void;
  /** Done with, after one that is not. As many as may be under way. */
  readonly #ahead = new Set<number>();
  #acknowledged: number;

  constructor(bytes: number, acknowledged: number, onChange: () => void) {
    this.bytes = bytes;
    this.#acknowledged = acknowledged;
    this.#onChange = onChange;
  }

  /** All records before this one are done with. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  done(index: number): void {
    if (index !== this.#acknowledged) {
      if (index > this.#acknowledged) this.#ahead.add(index);
      return;
    }
    do this.#acknowledged++;
    while (this.#ahead.delete(this.#acknowledged));
    this.#onChange();
  }
}

async function read(path: string): Promise<Saved | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  const result = savedSchema.safeParse(parsed(text));
  if (result.success) return result.data;
  throw new PortError('invalid_argument', `${path} says nothing of a replay: delete it, or begin anew with --anew`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
