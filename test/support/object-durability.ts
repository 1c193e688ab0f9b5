import { dirname } from 'node:path';
import { bytesGiven, type SystemCall } from './strace.ts';

export interface ObjectClaim {
  /** Text that is in the object. */
  readonly message: string;
  /** What the object's path contains. */
  readonly folder: string;
  /** What must not begin before the object is durable: an acknowledgement, or the write of a reference to it. */
  readonly before: SystemCall | undefined;
}

/**
 * Of which objects something was said too soon: no chain of calls precedes it, each ended before the next began, of the last write of the
 * object's bytes into a file, a sync of that file, its renaming (or linking) to the object's path, and a sync of the folder it is then in.
 */
export function saidTooEarly(calls: readonly SystemCall[], claims: readonly ObjectClaim[]): readonly string[] {
  const names = calls.filter(({ newName }) => newName !== undefined);
  const ofFile = Map.groupBy(calls, ({ target, newName }) => (newName === undefined ? target : ''));
  const durableAt = ({ message, folder }: ObjectClaim): number => {
    const ends = names
      .filter(({ newName = '', target }) => newName.includes(folder) && holds(ofFile.get(target) ?? [], message))
      .map((naming) => {
        const ofIts = ofFile.get(naming.target) ?? [];
        const written = ofIts.filter((call) => !isSync(call)).at(-1);
        const synced = ofIts.find((call) => isSync(call) && call.beganAt > (written?.endedAt ?? Infinity));
        if (!synced || naming.beganAt <= synced.endedAt) return Infinity;
        const ofFolder = ofFile.get(dirname(naming.newName ?? '')) ?? [];
        return ofFolder.find((call) => isSync(call) && call.beganAt > naming.endedAt)?.endedAt ?? Infinity;
      });
    return Math.min(Infinity, ...ends);
  };
  return claims
    .filter((claim) => claim.before === undefined || durableAt(claim) >= claim.before.beganAt)
    .map(({ message }) => message);
}

/** The first write to a file such that holds the text. */
export function writeOf(
  calls: readonly SystemCall[],
  text: string,
  isIn: (target: string) => boolean,
): SystemCall | undefined {
  return calls.find((call) => isIn(call.target) && !isSync(call) && textOf(call).includes(text));
}

const texts = new WeakMap<SystemCall, string>();

/** Decoded once: calls are many, and asked about many objects. */
function textOf(call: SystemCall): string {
  const text = texts.get(call) ?? bytesGiven(call).toString('latin1');
  texts.set(call, text);
  return text;
}

function holds(calls: readonly SystemCall[], text: string): boolean {
  return calls.some((call) => !isSync(call) && textOf(call).includes(text));
}

function isSync({ name }: SystemCall): boolean {
  return name === 'fdatasync' || name === 'fsync';
}
