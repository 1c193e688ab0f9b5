import { hash, randomBytes, randomUUID } from 'node:crypto';
import { z } from 'zod';
import { retry } from '#core/delivery/retry.ts';
import { isPortError, PortError, type CallOptions } from '#core/errors.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';
import { readDocument } from './readable-document.ts';

/** Of the secret, and of the checkpoint and the lease that go with it. */
const NAME = 'api-gateway.session-key';
const REMEDY = `delete the checkpoint ${NAME} and the secret of that name, which ends all sessions, and start anew`;
const LEASE_MS = 30_000;
/** Two calls to the secret store end before the lease does. */
const CALL_MS = 10_000;
/** Longer than the lease of a copy that was killed with it; a secret store may show for so long what it had before. */
const READABLE_WITHIN_MS = 60_000;
const READ_AGAIN = { maxAttempts: Infinity, firstDelayMs: 100, longestDelayMs: 1_000 } as const;

export interface CookieKeyStores {
  readonly secrets: SecretStore;
  readonly checkpoints: CheckpointStore;
}

const agreedSchema = z.object({ sha256: z.string() });

/**
 * The key that all copies of the gateway seal cookies with: a secret, of which the SHA-256 stands in the checkpoint store, which shows to each what
 * was saved. A secret store may show what it had before, and a copy that does not see the key there waits for it: one is made only where none was agreed on.
 * @throws PortError unavailable (it is not shown in time), data_loss (a damaged checkpoint), and those of the stores.
 */
export async function cookieKey(stores: CookieKeyStores, readableWithinMs = READABLE_WITHIN_MS): Promise<Buffer> {
  const text = await retry(
    async () => {
      const agreed = await agreedIn(stores.checkpoints);
      return agreed === undefined ? agree(stores) : shown(stores.secrets, agreed);
    },
    { ...READ_AGAIN, withinMs: readableWithinMs },
  );
  return Buffer.from(text, 'base64url');
}

async function agreedIn(checkpoints: CheckpointStore): Promise<string | undefined> {
  const found = await checkpoints.load(NAME);
  if (!found) return undefined;
  return readDocument(Buffer.from(found.state).toString('utf8'), agreedSchema, `checkpoint ${NAME}`, REMEDY).sha256;
}

async function shown(secrets: SecretStore, agreed: string): Promise<string> {
  const text = await secrets.get(NAME);
  if (text !== undefined && sha256(text) === agreed) return text;
  const what = text === undefined ? 'is absent' : 'is not the one that the copies agreed on';
  throw new PortError(
    'unavailable',
    `the secret ${NAME} ${what}: the secret store may show it later; if it was lost, bring it back, or ${REMEDY}`,
  );
}

/** A key that is there and was not agreed on is of a Tribo before this one, or of a copy that died. */
async function agree({ secrets, checkpoints }: CookieKeyStores): Promise<string> {
  const lease = await checkpoints.acquireLease(NAME, randomUUID(), LEASE_MS);
  if (!lease) throw new PortError('unavailable', `another copy makes the secret ${NAME} and does not end; start again`);
  try {
    const agreed = await agreedIn(checkpoints);
    if (agreed !== undefined) return await shown(secrets, agreed);
    const text = (await inTime((options) => secrets.get(NAME, options))) ?? (await makeKey(secrets));
    await checkpoints.save(NAME, Buffer.from(JSON.stringify({ sha256: sha256(text) })), 0).catch(lateToAgree);
    return text;
  } finally {
    await checkpoints.releaseLease(lease);
  }
}

async function makeKey(secrets: SecretStore): Promise<string> {
  const made = randomBytes(32).toString('base64url');
  await inTime((options) => secrets.put(NAME, made, options));
  return made;
}

/** Only where the lease was lost meanwhile: what the other copy agreed on is read. */
function lateToAgree(error: unknown): never {
  if (!isPortError(error) || error.code !== 'failed_precondition') throw error;
  throw new PortError('unavailable', `another copy agreed on the secret ${NAME} first`, { cause: error });
}

async function inTime<Result>(call: (options: CallOptions) => Promise<Result>): Promise<Result> {
  const signal = AbortSignal.timeout(CALL_MS);
  try {
    return await call({ signal });
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new PortError('deadline_exceeded', `the secret ${NAME}: no answer within ${CALL_MS} ms`, { cause: error });
  }
}

function sha256(text: string): string {
  return hash('sha256', text, 'hex');
}
