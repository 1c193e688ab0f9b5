import { hash, randomBytes, randomUUID } from 'node:crypto';
import { z } from 'zod';
import { AgreedSecret } from '#core/delivery/agreed-secret.ts';
import { retry } from '#core/delivery/retry.ts';
import { isPortError, PortError, type CallOptions } from '#core/errors.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';
import { readDocument } from './readable-document.ts';

/** Of the checkpoint and its lease, and how the names of the secrets begin. A Tribo before this one kept the secret under this name itself. */
const NAME = 'api-gateway.session-key';
const REMEDY = `delete the checkpoint ${NAME} and the secrets whose names begin so, which ends all sessions, and start anew`;
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

export interface CookieKeyOptions {
  /** How long a key that was agreed on is waited for. */
  readonly readableWithinMs?: number;
  /** Told when a secret that nobody needs could not be deleted. */
  readonly onProblem: (what: string, error: unknown) => void;
}

/** `secret` names it; without it, it has the bare name. */
const agreedSchema = z.object({ sha256: z.string(), secret: z.string().optional() });
type Agreed = z.infer<typeof agreedSchema>;

/**
 * The key that all copies of the gateway seal cookies with: a secret, whose name and SHA-256 stand in the checkpoint store, which shows to each what
 * was saved. A secret store may show what it had before, and a copy that does not see the key there waits for it: one is made only where none was
 * agreed on, each under a name of its own.
 * @throws PortError unavailable (it is not shown in time), data_loss (a damaged checkpoint), and those of the stores.
 */
export async function cookieKey(
  stores: CookieKeyStores,
  { readableWithinMs = READABLE_WITHIN_MS, onProblem }: CookieKeyOptions,
): Promise<Buffer> {
  const key = new AgreedSecret(stores.secrets, NAME, REMEDY);
  const text = await retry(
    async () => {
      const agreed = await agreedIn(stores.checkpoints);
      return agreed === undefined ? agree(stores, key) : shown(key, agreed);
    },
    { ...READ_AGAIN, withinMs: readableWithinMs },
  );
  await key.tidy(onProblem);
  return Buffer.from(text, 'base64url');
}

async function agreedIn(checkpoints: CheckpointStore): Promise<Agreed | undefined> {
  const found = await checkpoints.load(NAME);
  if (!found) return undefined;
  return readDocument(Buffer.from(found.state).toString('utf8'), agreedSchema, `checkpoint ${NAME}`, REMEDY);
}

async function shown(key: AgreedSecret, { secret = NAME, sha256: agreed }: Agreed): Promise<string> {
  const { name, value } = await key.read([secret], (text) => sha256(text) === agreed);
  key.settle(name);
  return value;
}

async function agree({ secrets, checkpoints }: CookieKeyStores, key: AgreedSecret): Promise<string> {
  const lease = await checkpoints.acquireLease(NAME, randomUUID(), LEASE_MS);
  if (!lease) throw new PortError('unavailable', `another copy makes the secret ${NAME} and does not end; start again`);
  try {
    const agreed = await agreedIn(checkpoints);
    if (agreed !== undefined) return await shown(key, agreed);
    const proposed = key.pending ?? key.propose(randomBytes(8).toString('hex'), await knownOrNew(secrets));
    await inTime((options) => key.put(proposed, options));
    const made: Agreed = { sha256: sha256(proposed.value), secret: proposed.name };
    await checkpoints.save(NAME, Buffer.from(JSON.stringify(made)), 0).catch(lateToAgree);
    return proposed.value;
  } finally {
    await checkpoints.releaseLease(lease);
  }
}

/** A key that has the bare name and was not agreed on is of a Tribo before this one. */
async function knownOrNew(secrets: SecretStore): Promise<string> {
  return (await inTime((options) => secrets.get(NAME, options))) ?? randomBytes(32).toString('base64url');
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
