import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** Starts a program as a process of its own, kills it without notice once it has printed a line, and returns that. */
export async function firstLineOf(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    // Jest's own, with the credentials.
    env: { ...process.env },
  });
  const exited = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    child.kill('SIGKILL');
    await exited;
    return line;
  }
  throw new Error(`${program} ended by itself`);
}
