import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { PortError } from '#core/errors.ts';

/** An opener waits for the commits under way, a commit for the openers: each takes milliseconds. */
const LONGEST_WAIT_MS = 10_000;
const SQLITE_BUSY = 5;

/**
 * Keeps the opening of a log apart from commits to it and from its closing. LMDB, as lmdb-js 3.5 ships it, stores in shared memory what every
 * opener - a reader too - has read from the file's header a moment before (`mdb_env_open2`): a commit in between would be taken back and
 * overwritten by the next, after it was acknowledged. And the last one to close destroys the mutexes in that memory (`mdb_env_close_active`),
 * which one that opens meanwhile takes for whole: every call fails then, of all processes, until all have closed.
 *
 * A commit or closing holds a shared lock of the operating system, an opener an exclusive one - through SQLite, because Node has no call for
 * it, and because SQLite lets no new shared lock in before an exclusive one that waits. A killed holder frees its lock at once.
 */
export class CommitGate {
  readonly #database: DatabaseSync;
  readonly #path: string;
  #commits = 0;

  constructor(path: string) {
    this.#path = path;
    this.#database = new DatabaseSync(path, { timeout: 0 });
  }

  /** Waits until nobody opens the log. Each commit or closing calls `leave` when it has ended, however it did. @throws PortError unavailable */
  async enter(): Promise<void> {
    for (let waitedMs = 0; !this.#tryEnter(); waitedMs++) {
      if (waitedMs >= LONGEST_WAIT_MS) throw stillOpening(this.#path);
      await sleep(1);
    }
  }

  /** As `enter`, for a commit that is not waited for: it blocks. @throws PortError unavailable */
  enterNow(): void {
    const never = new Int32Array(new SharedArrayBuffer(4));
    for (let waitedMs = 0; !this.#tryEnter(); waitedMs++) {
      if (waitedMs >= LONGEST_WAIT_MS) throw stillOpening(this.#path);
      Atomics.wait(never, 0, 0, 1);
    }
  }

  leave(): void {
    if (--this.#commits === 0) this.#database.exec('commit');
  }

  close(): void {
    this.#database.close();
  }

  #tryEnter(): boolean {
    if (this.#commits === 0) {
      this.#database.exec('begin');
      try {
        // A transaction takes its shared lock at its first read.
        this.#database.exec('select 1 from sqlite_schema');
      } catch (error) {
        this.#database.exec('rollback');
        if (isBusy(error)) return false;
        throw error;
      }
    }
    this.#commits++;
    return true;
  }
}

/** Opens a log while no process commits to it or closes it. @throws PortError unavailable */
export function whileNobodyCommits<Result>(path: string, open: () => Result): Result {
  const database = new DatabaseSync(path, { timeout: LONGEST_WAIT_MS });
  try {
    database.exec('begin exclusive');
    return open();
  } catch (error) {
    if (!isBusy(error)) throw error;
    throw new PortError('unavailable', `the log beside ${path} is committed to without end; try again`, {
      cause: error,
    });
  } finally {
    database.close();
  }
}

function stillOpening(path: string): PortError {
  return new PortError(
    'unavailable',
    `another process has been opening the log beside ${path} for too long; try again`,
  );
}

function isBusy(error: unknown): boolean {
  return (error as { readonly errcode?: unknown }).errcode === SQLITE_BUSY;
}
