import { readdirSync, readFileSync } from 'node:fs';

export interface GroupMember {
  readonly pid: number;
  readonly command: string;
  /** Memory that no file backs, in bytes. */
  readonly anonymousBytes: number;
}

/** The processes of a group that still run, as Linux tells: one that ended and was not waited for yet does not run. */
export function processGroup(groupId: number): readonly GroupMember[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const stat = readIfThere(`/proc/${name}/stat`);
      // The name of the program, in parentheses, may hold anything: fields are counted from behind it.
      const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(group) !== groupId || state === 'Z') return [];
      const anonymousKiB = Number(/RssAnon:\s+(\d+)/.exec(readIfThere(`/proc/${name}/status`))?.[1] ?? 0);
      const command = readIfThere(`/proc/${name}/cmdline`).replaceAll('\0', ' ');
      return [{ pid: Number(name), command, anonymousBytes: anonymousKiB * 1024 }];
    });
}

/** Sends a signal to a whole group; that it is gone already is no error. @throws RangeError for 0 and 1, which mean one's own group and all. */
export function signalGroup(groupId: number, signal: NodeJS.Signals): void {
  if (groupId <= 1) throw new RangeError(`there is no process group ${groupId} to signal`);
  try {
    process.kill(-groupId, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
