import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Stops a process with SIGSTOP at a moment when it writes into none of the SQLite databases of the data folder, which services share: a process
 * that was stopped in the middle of a transaction keeps all others from writing until it goes on, where a killed one would free it.
 */
export async function stopBetweenWrites(pid: number, dataDir: string): Promise<void> {
  for (;;) {
    process.kill(pid, 'SIGSTOP');
    while (stateOf(pid) !== 'T') await sleep(1);
    const shared = new Set(databaseInodes(dataDir));
    if (!writeLocksOf(pid).some((inode) => shared.has(inode))) return;
    process.kill(pid, 'SIGCONT');
    await sleep(1);
  }
}

/** In WAL mode a database's locks are on its index. */
function databaseInodes(dataDir: string): number[] {
  const names = readdirSync(dataDir).filter((name) => name.endsWith('.db-shm'));
  return names.map((name) => statSync(join(dataDir, name)).ino);
}

/** Inodes of the files of which the process has a part locked for itself, where the system tells (Linux). */
function writeLocksOf(pid: number): number[] {
  const locks = readFileSync('/proc/locks', 'utf8').split('\n');
  return locks.flatMap((line) => {
    const [, , , access, holder, file = ''] = line.trim().split(/\s+/);
    return access === 'WRITE' && holder === String(pid) ? [Number(file.split(':')[2])] : [];
  });
}

function stateOf(pid: number): string | undefined {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2)[0];
}
