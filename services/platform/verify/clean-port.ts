import { messageOf } from '#core/errors.ts';
import type { PortToVerify } from './verify-port.ts';
import { SWEEP_WITHIN_MS, within } from './within.ts';

/** What was removed of what runs had left. */
export interface CleanedPort {
  readonly port: string;
  readonly adapter: string;
  readonly removed: number;
  /** Why it could not be done. */
  readonly problem?: string;
}

/** Removes all that any run made. Never rejects. */
export async function cleanPort({ port, adapter, open }: PortToVerify): Promise<CleanedPort> {
  try {
    if (!open) return { port, adapter, removed: 0 };
    const verification = await open();
    try {
      return {
        port,
        adapter,
        removed: await within(
          SWEEP_WITHIN_MS,
          verification.sweep(() => true),
        ),
      };
    } finally {
      await verification.close();
    }
  } catch (error) {
    return { port, adapter, removed: 0, problem: messageOf(error) };
  }
}
