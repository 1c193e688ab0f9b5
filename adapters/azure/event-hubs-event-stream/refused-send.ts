/**
 * By the SDK's codes of them, the answers by which the service denies a batch, and what the SDK finds before it sends one. Others leave open
 * whether the batch is stored: an internal error or a time that was over (`ServiceUnavailableError`) may come after it was.
 * https://learn.microsoft.com/azure/event-hubs/event-hubs-messaging-exceptions
 */
const REFUSALS: ReadonlySet<unknown> = new Set([
  'InsufficientCreditError',
  'MessageTooLargeError',
  'MessagingEntityDisabledError',
  'MessagingEntityNotFoundError',
  'QuotaExceededError',
  'SenderBusyError',
  'ServerBusyError',
  'UnauthorizedError',
]);

/**
 * Whether it is certain that the hub has nothing of a batch whose one attempt to be sent ended so, as the client tells it. The SDK (6.0.4) tells of a link or connection that is
 * lost during a send by the time that is over alone: an error with the code of an answer is the batch's own, or was there before it was sent.
 */
export function isRefusedSend(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { cause } = error;
  return cause instanceof Error && 'code' in cause && REFUSALS.has(cause.code);
}
