import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A system call as strace saw it: `beganAt` and `endedAt` are positions in its log, in the order of time. */
export interface SystemCall {
  readonly name: string;
  readonly fd: number;
  /** What the descriptor refers to: a path, or `socket:[inode]`. Of a rename or link: the path that was given another name. */
  readonly target: string;
  /** That name. */
  readonly newName?: string;
  /** The arguments after the descriptor, as strace prints them. */
  readonly given: string;
  readonly beganAt: number;
  readonly endedAt: number;
}

const TRACED =
  'write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,fdatasync,fsync,?rename,?renameat,?renameat2,?link,?linkat';

/** Follows a process and all its threads. */
export class Strace {
  readonly #child: ChildProcess;
  readonly #log: string;

  /** Resolves once every system call from now on is seen. @throws Error that says why strace cannot follow the process. */
  static async attach(pid: number, log: string): Promise<Strace> {
    const given = ['-f', '-qq', '-y', '-e', `trace=${TRACED}`, '-e', 'signal=none', '-s', '1048576', '-o', log];
    const child = spawn('strace', [...given, '-p', String(pid)], { stdio: ['ignore', 'ignore', 'pipe'] });
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
    child.on('error', (error) => (complaint += error.message));
    const threads = () => readFileSync(`/proc/${pid}/status`, 'utf8');
    for (let tries = 0; !/^TracerPid:\s*[1-9]/m.test(threads()); tries++) {
      if (tries > 200 || child.exitCode !== null || child.pid === undefined) {
        throw new Error(`strace cannot follow process ${pid}; it must be installed and allowed to trace: ${complaint}`);
      }
      await sleep(50);
    }
    // The leader is followed first; its threads follow within moments.
    await sleep(300);
    return new Strace(child, log);
  }

  private constructor(child: ChildProcess, log: string) {
    this.#child = child;
    this.#log = log;
  }

  /** Lets the process go on alone, and returns what was seen. */
  async detach(): Promise<readonly SystemCall[]> {
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGINT');
    await exit;
    return parseStrace(readFileSync(this.#log, 'latin1'));
  }
}

/** Calls that succeeded, in the order in which they began. */
export function parseStrace(log: string): readonly SystemCall[] {
  const calls: SystemCall[] = [];
  const unfinished = new Map<string, Omit<SystemCall, 'endedAt'>>();
  for (const [at, line] of log.split('\n').entries()) {
    const named = /^(\d+) +((?:rename|link)\w*)\((.*)$/.exec(line);
    if (named) {
      const [, thread = '', name = '', given = ''] = named;
      const [target = '', newName = ''] = stringsOf(given);
      const call = { name, fd: -1, target, newName, given, beganAt: at };
      if (given.endsWith('<unfinished ...>')) unfinished.set(thread, call);
      else if (/= 0$/.test(given)) calls.push({ ...call, endedAt: at });
      continue;
    }
    const begun = /^(\d+) +(\w+)\((\d+)<([^>]*)>(.*)$/.exec(line);
    if (begun) {
      const [, thread = '', name = '', fd = '', target = '', rest = ''] = begun;
      const call = { name, fd: Number(fd), target, beganAt: at };
      if (rest.endsWith('<unfinished ...>')) unfinished.set(thread, { ...call, given: rest });
      else if (/= \d+$/.test(rest)) calls.push({ ...call, given: rest, endedAt: at });
      continue;
    }
    const resumed = /^(\d+) +<\.\.\. (\w+) resumed>.*= (-?\d+)/.exec(line);
    const call = unfinished.get(resumed?.[1] ?? '');
    if (!resumed || call === undefined || call.name !== resumed[2]) continue;
    unfinished.delete(resumed[1] ?? '');
    if (Number(resumed[3]) >= 0) calls.push({ ...call, endedAt: at });
  }
  return calls.sort((left, right) => left.beganAt - right.beganAt);
}

/** The bytes of the strings among a call's arguments, one after the other. */
export function bytesGiven(call: SystemCall): Buffer {
  return Buffer.from(stringsOf(call.given).join(''), 'latin1');
}

function stringsOf(given: string): string[] {
  return [...given.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, text]) => unescape(text ?? ''));
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', v: '\v', f: '\f', a: '\x07', b: '\b' };

function unescape(text: string): string {
  return text.replace(/\\([0-7]{1,3}|.)/g, (_all, escaped: string) =>
    /^[0-7]/.test(escaped) ? String.fromCharCode(Number.parseInt(escaped, 8)) : (ESCAPES[escaped] ?? escaped),
  );
}

export interface DurabilityClaim {
  /** What was acknowledged: text that is in the log where it is durable. */
  readonly message: string;
  readonly acknowledgedBy: SystemCall;
}

/**
 * Which acknowledgements came too soon: those that no chain of calls precedes which makes the message durable, each ended before the next
 * began: the write of the message's bytes to the log, an fdatasync of that file, and the write of the new root through a descriptor that
 * is opened for synchronous writes, so that it needs no sync of its own.
 */
export function tooEarly(
  calls: readonly SystemCall[],
  claims: readonly DurabilityClaim[],
  isLog: (target: string) => boolean,
  isSynchronous: (fd: number) => boolean,
): readonly string[] {
  const ofLog = calls.filter(({ target }) => isLog(target));
  const syncs = ofLog.filter(({ name }) => name === 'fdatasync' || name === 'fsync');
  const writes = ofLog.filter(({ name, fd }) => !name.endsWith('sync') && !isSynchronous(fd));
  const roots = ofLog.filter(({ name, fd }) => !name.endsWith('sync') && isSynchronous(fd));
  const writtenBy = new Map<string, SystemCall>();
  for (const write of writes) {
    const text = bytesGiven(write).toString('latin1');
    for (const { message } of claims)
      if (!writtenBy.has(message) && text.includes(message)) writtenBy.set(message, write);
  }
  const after = (candidates: readonly SystemCall[], call: SystemCall | undefined) =>
    call && candidates.find(({ beganAt, target }) => beganAt > call.endedAt && target === call.target);
  return claims
    .filter(({ message, acknowledgedBy }) => {
      const root = after(roots, after(syncs, writtenBy.get(message)));
      return root === undefined || root.endedAt >= acknowledgedBy.beganAt;
    })
    .map(({ message }) => message);
}
