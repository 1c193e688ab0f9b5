import type { NotChecked } from '#core/contracts/verification.ts';
import { MAX_EVENT_BYTES } from '#core/domain/event.ts';
import { PortError } from '#core/errors.ts';

/** Of an event besides its payload, in whatever envelope. */
const ENVELOPE_BYTES = 16_384;
/** What a stream must take at once. */
export const LARGEST_EVENT_BYTES = MAX_EVENT_BYTES + ENVELOPE_BYTES;

/** Why a stream is looked at, and not published to. */
export const DELIVERY_NOT_CHECKED: NotChecked = {
  name: 'the contract of event streams: delivery in order, at least once, to each group',
  why: "an event that is published here would be counted by the site's ledger, and go to its services",
  byHand:
    'run it with --provision, as who may make streams: it is run on one of its own then. Once the platform runs, send as a tenant of its own (`tribo simulate`), and see by `tribo ledger` that nothing stays pending',
};

/** @throws PortError failed_precondition where the stream lets go of events sooner than the site reckons with. */
export function checkRetention(stream: string, isMs: number, retentionMs: number): void {
  if (isMs >= retentionMs) return;
  throw new PortError(
    'failed_precondition',
    `${stream} keeps events for ${isMs / 3_600_000} h, and the site reckons with ${retentionMs / 3_600_000} h: make it keep them as long, or set retentionMs to what it does`,
  );
}
