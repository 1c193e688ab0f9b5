import type { StampedEvent, StreamName } from '../domain/event.ts';
import type { CallOptions } from '../errors.ts';
import type { CheckpointStore } from '../ports/checkpoint-store.ts';
import type { Progress } from '../ports/event-stream.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { rawObjects } from './raw-object.ts';

export interface RawArchiveDependencies {
  readonly objects: Pick<ObjectStore, 'put'>;
  readonly checkpoints: Pick<CheckpointStore, 'load' | 'save'>;
  /** Gzip, off the thread that calls. */
  readonly compress: (text: Uint8Array) => Promise<Uint8Array>;
}

/** What is kept of a stream's archive between two deliveries. */
interface ArchiveState {
  /** The newest event archived of each of the latest publishers. */
  readonly archived: readonly Progress[];
  /** As far as the objects reach that are being written. */
  readonly planned?: readonly Progress[];
}

/** Publishers' incarnations that are remembered; a log has one writer at a time. */
const MAX_INCARNATIONS = 16;

/**
 * Keeps every accepted message of a stream, each once, in objects that are named by what they hold. Before objects are written, how far they
 * will reach is saved: events that are delivered again after a crash, together with others meanwhile, are cut at the same place and so
 * give the same objects.
 */
export class RawArchive {
  readonly #stream: StreamName;
  readonly #dependencies: RawArchiveDependencies;
  #state: ArchiveState;
  #version: number;

  static async open(stream: StreamName, dependencies: RawArchiveDependencies): Promise<RawArchive> {
    const saved = await dependencies.checkpoints.load(nameOf(stream));
    const state = saved ? (JSON.parse(Buffer.from(saved.state).toString()) as ArchiveState) : { archived: [] as const };
    return new RawArchive(stream, dependencies, state, saved?.version ?? 0);
  }

  private constructor(stream: StreamName, dependencies: RawArchiveDependencies, state: ArchiveState, version: number) {
    this.#stream = stream;
    this.#dependencies = dependencies;
    this.#state = state;
    this.#version = version;
  }

  /** What is archived and need not be delivered again. */
  get progress(): readonly Progress[] {
    return this.#state.archived;
  }

  /** Resolves with how many objects were written, once all of the events are durable in them. @throws PortError */
  async archive(events: readonly StampedEvent[], options: CallOptions = {}): Promise<number> {
    const { archived, planned } = this.#state;
    const fresh = events.filter((event) => !reaches(archived, event));
    if (fresh.length === 0) return 0;
    const again = planned ? fresh.filter((event) => reaches(planned, event)) : [];
    let written = 0;
    if (again.length > 0) {
      written += await this.#write(again, options);
      await this.#save({ archived: advanced(archived, again) }, options);
    }
    const rest = again.length > 0 ? fresh.filter((event) => !reaches(this.#state.archived, event)) : fresh;
    if (rest.length === 0) return written;
    const reach = advanced(this.#state.archived, rest);
    await this.#save({ archived: this.#state.archived, planned: reach }, options);
    written += await this.#write(rest, options);
    await this.#save({ archived: reach }, options);
    return written;
  }

  async #write(events: readonly StampedEvent[], options: CallOptions): Promise<number> {
    const { objects, compress } = this.#dependencies;
    const drafts = rawObjects(this.#stream, events);
    for (const { key, text } of drafts) await objects.put(key, await compress(text), { ...options, ifAbsent: true });
    return drafts.length;
  }

  async #save(state: ArchiveState, options: CallOptions): Promise<void> {
    const bytes = Buffer.from(JSON.stringify(state));
    const { version } = await this.#dependencies.checkpoints.save(nameOf(this.#stream), bytes, this.#version, options);
    this.#state = state;
    this.#version = version;
  }
}

function nameOf(stream: StreamName): string {
  return `raw-archive/${stream}`;
}

function reaches(progress: readonly Progress[], { source, epoch, seq }: StampedEvent): boolean {
  return progress.some((each) => each.epoch === epoch && each.source === source && each.seq >= seq);
}

function advanced(progress: readonly Progress[], events: readonly StampedEvent[]): readonly Progress[] {
  let latest = [...progress];
  let current: { readonly source: string; readonly epoch: number; seq: number } | undefined;
  for (const { source, epoch, seq } of events) {
    if (current?.epoch === epoch && current.source === source) {
      current.seq = Math.max(current.seq, seq);
      continue;
    }
    const known = latest.find((each) => each.epoch === epoch && each.source === source);
    current = { source, epoch, seq: Math.max(seq, known?.seq ?? 0) };
    latest = [...latest.filter((each) => each !== known), current];
  }
  return latest.slice(-MAX_INCARNATIONS);
}
