import { isRetryable } from '../errors.ts';
import type { DeviceIntake, DeviceMessage } from '../ports/device-gateway.ts';
import { intakeKindOf } from './back-pressure.ts';

interface Offering {
  /** Why intake refused it. */
  readonly refusal: unknown;
  /** How long to wait where intake says that it is ready. */
  readonly everyMs: number;
  /** True once nobody waits for the outcome. */
  readonly isOver: () => boolean;
}

/**
 * Offers a message that intake refused again, until it is accepted (true) or nobody waits for that (false).
 * @throws what intake threw, where that will not pass.
 */
export async function offerAgain(
  intake: DeviceIntake,
  message: DeviceMessage,
  { refusal, everyMs, isOver }: Offering,
): Promise<boolean> {
  const kind = intakeKindOf(message.content);
  let error = refusal;
  while (isRetryable(error)) {
    if (intake.isReady(kind)) await new Promise((resolve) => setTimeout(resolve, everyMs));
    // Those that wait go on in the order in which they came.
    await intake.whenReady(kind);
    if (isOver()) return false;
    try {
      await intake.accept(message);
      return true;
    } catch (next) {
      error = next;
    }
  }
  throw error;
}
