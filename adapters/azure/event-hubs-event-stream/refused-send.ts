/**
 * What the SDK finds before it sends a batch, by its codes, and the answer to one that is too large. An internal error or a time that was over
 * (`ServiceUnavailableError`) may come after the batch was stored, and of a quota, a right or a hub that is gone or disabled nothing promises that
 * it is found before; as these last, nothing becomes durable in the epochs that they open, which then cost nothing.
 * https://learn.microsoft.com/azure/event-hubs/event-hubs-messaging-exceptions
 */
const REFUSALS: ReadonlySet<unknown> = new Set(['InsufficientCreditError', 'MessageTooLargeError', 'SenderBusyError']);

/**
 * A service that is busy says by a number why: by this one that it throttles, which is to deny the request
 * (https://techcommunity.microsoft.com/t5/messaging-on-azure-blog/how-exactly-does-event-hubs-throttling-work/ba-p/370672). Of others, such as 50008
 * for a container without processor time, nobody says whether the request had begun.
 */
const THROTTLED = /\berror code\s*:\s*50002\b/i;

/**
 * Whether it is certain that the hub has nothing of a batch whose one attempt to be sent ended so, as the client tells it. The SDK (6.0.4) tells
 * of a link or connection that is lost during a send by the time that is over alone: an error with the code of an answer is the batch's own, or was
 * there before it was sent.
 */
export function isRefusedSend(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { cause } = error;
  if (!(cause instanceof Error && 'code' in cause)) return false;
  return REFUSALS.has(cause.code) || (cause.code === 'ServerBusyError' && THROTTLED.test(cause.message));
}
