import { watch, type FSWatcher } from 'node:fs';
import type { LogFile, LogHead } from './log-file.ts';

/** Another process's commit is noticed through the file system's notification; the poll is for what that misses. */
const WATCHED_POLL_MS = 50;
/** Where the file system notifies nobody: soon after news, then ever later. */
const SHORTEST_POLL_MS = 2;
const LONGEST_POLL_MS = 20;
/** After the log could not be read. */
const RETRY_MS = 1000;
/** The notification may come a moment before LMDB lets readers see the commit. */
const SECOND_LOOK_MS = 1;

/** Tells listeners that the log has a new durable head, whoever wrote it. Watches only while somebody listens. */
export class HeadMonitor {
  readonly #file: LogFile;
  readonly #isCommitting: () => boolean;
  readonly #onFailure: (error: unknown) => void;
  readonly #listeners = new Set<() => void>();
  #head: LogHead;
  #watcher: FSWatcher | undefined;
  #poll: NodeJS.Timeout | undefined;
  #secondLook: NodeJS.Timeout | undefined;
  #isUnwatchable = false;

  /** While this process commits, `advance` will tell of it: a notification that came first would have its events read from the file. */
  constructor(file: LogFile, isCommitting: () => boolean, onFailure: (error: unknown) => void) {
    this.#file = file;
    this.#isCommitting = isCommitting;
    this.#onFailure = onFailure;
    this.#head = file.readHead();
  }

  /** The newest durable head that this process knows. */
  get head(): LogHead {
    return this.#head;
  }

  /** A commit of this process. */
  advance(head: LogHead): void {
    if (head.commit <= this.#head.commit) return;
    this.#head = head;
    for (const listener of this.#listeners) listener();
  }

  /** Looks whether any process has committed; true when one has. */
  look(): boolean {
    this.#file.refresh();
    const head = this.#file.readHead();
    const isNews = head.commit > this.#head.commit;
    this.advance(head);
    return isNews;
  }

  /** Calls back after each advance. Returns how to stop. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#start();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.close();
    };
  }

  close(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    clearTimeout(this.#poll);
    clearTimeout(this.#secondLook);
  }

  #start(): void {
    this.#tryLook();
    this.#watch();
    this.#schedulePoll(SHORTEST_POLL_MS);
  }

  /** Once there is a log to watch. Where no watches are left, or none exist on this file system, polling does. */
  #watch(): void {
    if (this.#watcher || this.#isUnwatchable || this.#head.commit === 0) return;
    try {
      this.#watcher = watch(this.#file.dataPath, { persistent: false }, () => this.#notice());
      this.#watcher.on('error', () => this.#giveUpWatching());
    } catch {
      this.#giveUpWatching();
    }
  }

  #giveUpWatching(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    this.#isUnwatchable = true;
  }

  #notice(): void {
    if (this.#isCommitting() || this.#tryLook()) return;
    clearTimeout(this.#secondLook);
    this.#secondLook = setTimeout(() => this.#isCommitting() || this.#tryLook(), SECOND_LOOK_MS);
  }

  #schedulePoll(delayMs: number): void {
    this.#poll = setTimeout(() => {
      const isNews = !this.#isCommitting() && this.#tryLook();
      if (this.#listeners.size === 0) return;
      this.#watch();
      this.#schedulePoll(this.#nextPollMs(delayMs, isNews));
    }, delayMs);
  }

  #nextPollMs(previousMs: number, isNews: boolean | undefined): number {
    if (isNews === undefined) return RETRY_MS;
    if (this.#watcher) return WATCHED_POLL_MS;
    return isNews ? SHORTEST_POLL_MS : Math.min(previousMs * 2, LONGEST_POLL_MS);
  }

  /** As `look`; undefined where the log could not be read. */
  #tryLook(): boolean | undefined {
    try {
      return this.look();
    } catch (error) {
      this.#onFailure(error);
      return undefined;
    }
  }
}
