import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { retry } from '#core/delivery/retry.ts';
import type { PortErrorCode } from '#core/errors.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { answered, cutAfter, cutBefore, late, noFault, type HttpFaults, type WireFault } from './http-faults.ts';

export interface ObjectsUnderFaults {
  readonly store: ObjectStore;
  readonly wire: HttpFaults;
}

export interface FaultCases {
  /** Of every call; shorter than late answers are. */
  readonly timeoutMs: number;
  /** As the vendor documents the answer to a request whose token has expired. */
  readonly expiredToken: WireFault;
  /** As the vendor documents that of a service that has too much to do. */
  readonly throttled: WireFault;
}

/** What a store of objects does when the wire or the service fails: a code to branch by, and an object that is whole or not there. */
export function describeObjectsUnderFaults(
  name: string,
  { timeoutMs, expiredToken, throttled }: FaultCases,
  open: () => Promise<ObjectsUnderFaults>,
): void {
  const faults: readonly (readonly [what: string, WireFault, PortErrorCode])[] = [
    ['answers 500', answered(500, ''), 'unavailable'],
    ['answers 503 with a page of a proxy', answered(503, '<html>busy</html>'), 'unavailable'],
    ['throttles', throttled, 'resource_exhausted'],
    ['says that a token has expired', expiredToken, 'permission_denied'],
    ['cuts before a request', cutBefore, 'unavailable'],
    ['cuts before an answer', cutAfter, 'unavailable'],
    ['answers too late', late(timeoutMs + 2000), 'deadline_exceeded'],
  ];
  describe(`${name} that`, () => {
    it.each(faults)('%s: each call says so, and the next finds all whole', async (_what, fault, code) => {
      const { store, wire } = await open();
      const prefix = `faults/${randomUUID()}/`;
      const kept = Buffer.from('kept');
      await store.put(`${prefix}kept`, kept);
      wire.fault = fault;
      try {
        const large = new Uint8Array(12 * 1_048_576).fill(7);
        for (const call of [
          () => store.get(`${prefix}kept`),
          () => store.put(`${prefix}new`, Buffer.from('new')),
          () => store.put(`${prefix}large`, large),
          () => store.list({ prefix, limit: 10 }),
          () => store.delete(`${prefix}kept`),
        ])
          await expect(call()).rejects.toMatchObject({ name: 'PortError', code });
        wire.fault = noFault;
        // What was asked for may have been done or not: each object is whole, as it was or as it was to be. A loaded machine may be late, too.
        expect([kept.toString(), undefined]).toContain(await retry(() => textOf(store, `${prefix}kept`)));
        expect(['new', undefined]).toContain(await retry(() => textOf(store, `${prefix}new`)));
        const put = await retry(() => store.get(`${prefix}large`));
        expect(put === undefined || Buffer.compare(put, large) === 0).toBe(true);
        await retry(() => store.put(`${prefix}large`, large));
        expect(Buffer.compare((await retry(() => store.get(`${prefix}large`)))!, large)).toBe(0);
        for (const { key } of await retry(() => store.list({ prefix, limit: 10 })))
          await retry(() => store.delete(key));
        expect(await retry(() => store.list({ prefix, limit: 10 }))).toEqual([]);
      } finally {
        wire.fault = noFault;
      }
    });
  });
}

async function textOf(store: ObjectStore, key: string): Promise<string | undefined> {
  const found = await store.get(key);
  return found && Buffer.from(found).toString();
}
