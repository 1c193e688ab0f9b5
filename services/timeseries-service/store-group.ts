import { LEDGERED_STREAMS } from '#core/domain/event.ts';

/** The consumer group that settles every stream but `alarms`, which have a journal of their own. */
export const STORE_GROUP = 'store';

/** Whether the ledger says what this group has still to settle, also while others send so much that the group never has nothing left to read. */
export function isToldByLedger(stream: string, group: string): boolean {
  return group === STORE_GROUP && (LEDGERED_STREAMS as readonly string[]).includes(stream);
}
