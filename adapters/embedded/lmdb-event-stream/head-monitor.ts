import { watch, type FSWatcher } from 'node:fs';
import type { LogFile, LogHead } from './log-file.ts';

/** Another process's commit is noticed through the file system's notification; the poll is for what that misses. */
const WATCHED_POLL_MS = 50;
/** Where the file system notifies nobody: soon after news, then ever later. */
const SHORTEST_POLL_MS = 2;
const LONGEST_POLL_MS = 20;
/** The notification may come a moment before LMDB lets readers see the commit. */
const SECOND_LOOK_MS = 1;

/** Tells listeners that the log has a new durable head, whoever wrote it. Watches only while somebody listens. */
export class HeadMonitor {
  readonly #file: LogFile;
  readonly #isCommitting: () => boolean;
  readonly #listeners = new Set<() => void>();
  #head: LogHead;
  #watcher: FSWatcher | undefined;
  #poll: NodeJS.Timeout | undefined;
  #secondLook: NodeJS.Timeout | undefined;
  #pollMs = SHORTEST_POLL_MS;

  /** While this process commits, `advance` will tell of it: a notification that came first would have its events read from the file. */
  constructor(file: LogFile, isCommitting: () => boolean) {
    this.#file = file;
    this.#isCommitting = isCommitting;
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
    try {
      this.#watcher = watch(this.#file.dataPath, { persistent: false }, () => this.#notice());
      this.#watcher.on('error', () => {
        this.#watcher?.close();
        this.#watcher = undefined;
      });
    } catch {
      // No watches left, or none on this file system: polling does.
      this.#watcher = undefined;
    }
    this.look();
    this.#schedulePoll();
  }

  #notice(): void {
    if (this.#isCommitting() || this.look()) return;
    clearTimeout(this.#secondLook);
    this.#secondLook = setTimeout(() => this.#isCommitting() || this.look(), SECOND_LOOK_MS);
  }

  #schedulePoll(): void {
    this.#poll = setTimeout(
      () => {
        const isNews = !this.#isCommitting() && this.look();
        this.#pollMs = isNews ? SHORTEST_POLL_MS : Math.min(this.#pollMs * 2, LONGEST_POLL_MS);
        if (this.#listeners.size > 0) this.#schedulePoll();
      },
      this.#watcher ? WATCHED_POLL_MS : this.#pollMs,
    );
  }
}
