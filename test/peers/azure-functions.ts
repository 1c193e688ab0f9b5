import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const WORKER = join(import.meta.dirname, 'azure-functions-worker.cjs');

/** A binding of a function, as its program says it. */
type Binding = Readonly<Record<string, unknown>>;

/** A function, as its program registers it. */
interface RegisteredFunction {
  readonly name: string;
  readonly bindings: Readonly<Record<string, Binding>>;
}

/** What became of a message: it is taken from the queue, or given back with that error. */
type Outcome = 'completed' | { readonly name: string; readonly code?: string; readonly message: string };

interface Said {
  readonly functions?: readonly RegisteredFunction[];
  readonly id?: number;
  readonly outcome?: Outcome;
}

/**
 * A peer of the runtime of Azure Functions, ours: it has no release on npm.
 *
 * **It is** what the vendor's library (`@azure/functions`, programming model v4) meets in the runtime's worker for Node.js: a package in a folder, whose
 * `main` is required, with `@azure/functions-core` that only a `require` finds; functions that register themselves while it loads; and calls with
 * the text of a message, which the library itself converts.
 *
 * **It is not** the runtime: no host, no extension of Service Bus, so no retries, locks, dead letters or settings in `%`; one call at a time.
 * What the worker does is taken from the library, which is written for it: https://github.com/Azure/azure-functions-nodejs-library.
 */
export class AzureFunctions implements AsyncDisposable {
  readonly functions: readonly RegisteredFunction[];
  readonly #worker: ChildProcess;
  #calls = 0;

  static async start(folder: string, env: Readonly<Record<string, string>>): Promise<AzureFunctions> {
    const worker = fork(WORKER, [], { cwd: folder, env, execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const [{ functions = [] }] = (await once(worker, 'message')) as [Said];
    return new AzureFunctions(worker, functions);
  }

  private constructor(worker: ChildProcess, functions: readonly RegisteredFunction[]) {
    this.#worker = worker;
    this.functions = functions;
  }

  /** Calls the function with a message of its queue. */
  async call(name: string, text: string): Promise<Outcome> {
    const id = ++this.#calls;
    this.#worker.send({ id, name, string: text });
    const [said] = (await once(this.#worker, 'message')) as [Said];
    if (said.id !== id || said.outcome === undefined) throw new Error(`not the answer to call ${id}`);
    return said.outcome;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#worker, 'exit');
    this.#worker.kill('SIGKILL');
    await ended;
  }
}
