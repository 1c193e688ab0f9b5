import { mkdirSync, readdirSync, realpathSync, watch, type FSWatcher } from 'node:fs';
import { filePortError } from './errors.ts';
import { GroupFiles } from './group-file.ts';
import { EMPTY_HEAD, HeadFile, type SourceHead } from './source-head.ts';
import { StreamPaths } from './stream-paths.ts';
import { TailCache, type EventBlock } from './tail-cache.ts';

/** Another process's commit is noticed through the file system's notification; the poll is for what that misses. */
const WATCHED_POLL_MS = 50;
/** Where the file system notifies nobody: soon after news, then ever later. */
const SHORTEST_POLL_MS = 2;
const LONGEST_POLL_MS = 20;

/** What this process knows of one publisher of the stream. */
export interface SourceState {
  readonly name: string;
  readonly cache: TailCache;
  head: SourceHead;
}

/** A consumer of this process: who is woken by news, and what it has still to read. */
export interface LogListener {
  readonly onNews: () => void;
  /** The position that is read next of the source; undefined where nothing of it is wanted now. */
  readonly positionOf: (source: string) => number | undefined;
}

/**
 * What the clients of one process share of a stream: who publishes, how far each is durable, and its newest events. There is one a
 * process and folder, so that a consumer gets the objects of a publisher of the same process, whichever clients the two use.
 */
export class StreamLog {
  readonly paths: StreamPaths;
  readonly groups: GroupFiles;
  readonly #key: string;
  readonly #cacheBytes: number;
  readonly #sources = new Map<string, KnownSource>();
  readonly #listeners = new Set<LogListener>();
  #users = 0;
  #watcher: FSWatcher | undefined;
  #poll: NodeJS.Timeout | undefined;
  #pollMs = SHORTEST_POLL_MS;

  /** The log of the folder, shared with whoever has it open; `release` it afterwards. */
  static acquire(directory: string, cacheBytes: number): StreamLog {
    try {
      const paths = new StreamPaths(directory);
      for (const each of [paths.heads, paths.groups, paths.sources]) mkdirSync(each, { recursive: true });
      const key = realpathSync(directory);
      const log = OPEN_LOGS.get(key) ?? new StreamLog(key, paths, cacheBytes);
      OPEN_LOGS.set(key, log);
      log.#users++;
      return log;
    } catch (error) {
      throw filePortError(error, `opening the event log in ${directory}`);
    }
  }

  private constructor(key: string, paths: StreamPaths, cacheBytes: number) {
    this.#key = key;
    this.paths = paths;
    this.#cacheBytes = cacheBytes;
    this.groups = new GroupFiles(paths);
    this.look();
  }

  release(): void {
    if (--this.#users > 0) return;
    OPEN_LOGS.delete(this.#key);
    this.#stopWatching();
    for (const source of this.#sources.values()) source.file?.close();
  }

  get sources(): Iterable<SourceState> {
    return this.#sources.values();
  }

  source(name: string): SourceState {
    return this.#known(name);
  }

  get hasListeners(): boolean {
    return this.#listeners.size > 0;
  }

  /** A publisher of this process tells of its head itself, from now until `endPublishing`. */
  beginPublishing(name: string): void {
    this.#known(name).isPublishedHere = true;
  }

  endPublishing(name: string): void {
    this.#known(name).isPublishedHere = false;
  }

  /** A commit of a publisher of this process. */
  advance(
    name: string,
    head: SourceHead,
    blocks: readonly { readonly block: EventBlock; readonly bytes: number }[],
  ): void {
    const source = this.#known(name);
    source.head = head;
    for (const { block, bytes } of blocks) source.cache.add(block, bytes);
    this.#tell();
  }

  /** Looks how far the publishers of other processes are; true when one is further. */
  look(): boolean {
    for (const name of readdirSync(this.paths.heads)) this.#known(name);
    let isNews = false;
    for (const source of this.#sources.values()) if (this.#lookAt(source)) isNews = true;
    if (isNews) this.#tell();
    return isNews;
  }

  /** Tells the listener of all news from now on. Returns how to stop. */
  listen(listener: LogListener): () => void {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#startWatching();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stopWatching();
    };
  }

  /** Forgets the events that every consumer of this process has read. */
  dropReadEvents(): void {
    for (const { name, cache } of this.#sources.values()) {
      let lowest = Infinity;
      for (const listener of this.#listeners) lowest = Math.min(lowest, listener.positionOf(name) ?? Infinity);
      cache.dropBefore(lowest);
    }
  }

  #known(name: string): KnownSource {
    let source = this.#sources.get(name);
    if (!source) {
      const cache = new TailCache(this.#cacheBytes);
      source = { name, cache, head: EMPTY_HEAD, isPublishedHere: false, file: undefined };
      this.#sources.set(name, source);
    }
    return source;
  }

  #lookAt(source: KnownSource): boolean {
    if (source.isPublishedHere) return false;
    source.file ??= HeadFile.open(this.paths.head(source.name));
    const head = source.file?.read();
    if (!head) return false;
    const isNews = head.nextPosition > source.head.nextPosition;
    source.head = head;
    return isNews;
  }

  #tell(): void {
    for (const listener of this.#listeners) listener.onNews();
  }

  #startWatching(): void {
    try {
      this.#watcher = watch(this.paths.heads, { persistent: false }, (_event, name) => this.#notice(name));
      this.#watcher.on('error', () => this.#unwatch());
    } catch {
      // No watches left, or none on this file system: polling does.
    }
    this.look();
    this.#schedulePoll();
  }

  #notice(name: string | null): void {
    if (name !== null && this.#lookAt(this.#known(name))) this.#tell();
  }

  #schedulePoll(): void {
    this.#poll = setTimeout(
      () => {
        this.#pollMs = this.look() ? SHORTEST_POLL_MS : Math.min(this.#pollMs * 2, LONGEST_POLL_MS);
        if (this.#listeners.size > 0) this.#schedulePoll();
      },
      this.#watcher ? WATCHED_POLL_MS : this.#pollMs,
    );
  }

  #stopWatching(): void {
    clearTimeout(this.#poll);
    this.#unwatch();
  }

  #unwatch(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }
}

interface KnownSource extends SourceState {
  isPublishedHere: boolean;
  file: HeadFile | undefined;
}

/** By real path. */
const OPEN_LOGS = new Map<string, StreamLog>();
