import { isPortError, PortError, type PortErrorCode } from '#core/errors.ts';

/** What the protocol's errors mean, by their names in https://kafka.apache.org/protocol.html#protocol_error_codes. Others are `internal`. */
const CODES: Readonly<Record<string, PortErrorCode>> = {
  UNKNOWN_TOPIC_OR_PARTITION: 'not_found',
  UNKNOWN_TOPIC_ID: 'not_found',
  INVALID_TOPIC_EXCEPTION: 'invalid_argument',
  MESSAGE_TOO_LARGE: 'invalid_argument',
  RECORD_LIST_TOO_LARGE: 'invalid_argument',
  INVALID_GROUP_ID: 'invalid_argument',
  INVALID_PARTITIONS: 'invalid_argument',
  INVALID_REPLICATION_FACTOR: 'failed_precondition',
  NON_EMPTY_GROUP: 'failed_precondition',
  UNSUPPORTED_VERSION: 'failed_precondition',
  ILLEGAL_GENERATION: 'failed_precondition',
  UNKNOWN_MEMBER_ID: 'failed_precondition',
  REBALANCE_IN_PROGRESS: 'unavailable',
  FENCED_INSTANCE_ID: 'failed_precondition',
  TOPIC_AUTHORIZATION_FAILED: 'permission_denied',
  GROUP_AUTHORIZATION_FAILED: 'permission_denied',
  CLUSTER_AUTHORIZATION_FAILED: 'permission_denied',
  SASL_AUTHENTICATION_FAILED: 'permission_denied',
  UNSUPPORTED_SASL_MECHANISM: 'permission_denied',
  ILLEGAL_SASL_STATE: 'permission_denied',
  THROTTLING_QUOTA_EXCEEDED: 'resource_exhausted',
  POLICY_VIOLATION: 'resource_exhausted',
  OFFSET_OUT_OF_RANGE: 'data_loss',
  CORRUPT_MESSAGE: 'data_loss',
  REQUEST_TIMED_OUT: 'deadline_exceeded',
  LEADER_NOT_AVAILABLE: 'unavailable',
  NOT_LEADER_OR_FOLLOWER: 'unavailable',
  FENCED_LEADER_EPOCH: 'unavailable',
  UNKNOWN_LEADER_EPOCH: 'unavailable',
  BROKER_NOT_AVAILABLE: 'unavailable',
  REPLICA_NOT_AVAILABLE: 'unavailable',
  NETWORK_EXCEPTION: 'unavailable',
  COORDINATOR_LOAD_IN_PROGRESS: 'unavailable',
  COORDINATOR_NOT_AVAILABLE: 'unavailable',
  NOT_COORDINATOR: 'unavailable',
  NOT_ENOUGH_REPLICAS: 'unavailable',
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 'unavailable',
  KAFKA_STORAGE_ERROR: 'unavailable',
  OUT_OF_ORDER_SEQUENCE_NUMBER: 'unavailable',
  UNKNOWN_PRODUCER_ID: 'unavailable',
};

/** What the client's own errors mean. */
const CODES_OF_CLIENT: Readonly<Record<string, PortErrorCode>> = {
  PLT_KFK_AUTHENTICATION: 'permission_denied',
  PLT_KFK_NETWORK: 'unavailable',
  PLT_KFK_TIMEOUT: 'deadline_exceeded',
  PLT_KFK_UNSUPPORTED_API: 'failed_precondition',
};

/** The protocol's names of the errors in an error of the client. */
export function namesOfKafkaError(error: unknown): readonly string[] {
  return nestedIn(error).flatMap(({ apiId }) => (typeof apiId === 'string' ? [apiId] : []));
}

/** The code of an error of the client: by the protocol's names in it, then the client's own. */
export function codeOfKafkaError(error: unknown): PortErrorCode {
  const named = namesOfKafkaError(error).map((name) => CODES[name]);
  const ofClient = nestedIn(error).map(({ code }) => codeOfClient(code));
  return [...named, ...ofClient].find((code) => code !== undefined) ?? 'internal';
}

/**
 * The code of what a cloud's library of credentials throws. Whatever it is, it is of this process and not of what was asked: a 400 too, such as for a
 * federated token that has expired.
 */
export function codeOfSignIn(error: unknown): PortErrorCode {
  const { status, statusCode, code } = (error ?? {}) as { status?: unknown; statusCode?: unknown; code?: unknown };
  if (codeOfClient(code) === 'unavailable') return 'unavailable';
  const answered = Number(statusCode ?? status ?? code);
  return answered === 429 || answered >= 500 ? 'unavailable' : 'permission_denied';
}

/**
 * By which a broker answers a request to write before it writes anything of it (https://kafka.apache.org/protocol.html#protocol_error_codes;
 * librdkafka, too, takes them for "not persisted"). Others may come while it waits for the replicas of what it has written, such as
 * NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR and UNKNOWN_TOPIC_OR_PARTITION, or of what it wrote at an attempt before, such as
 * OUT_OF_ORDER_SEQUENCE_NUMBER.
 */
const REFUSALS_TO_WRITE: ReadonlySet<unknown> = new Set([
  'CLUSTER_AUTHORIZATION_FAILED',
  'INVALID_TOPIC_EXCEPTION',
  'MESSAGE_TOO_LARGE',
  'NOT_ENOUGH_REPLICAS',
  'RECORD_LIST_TOO_LARGE',
  'TOPIC_AUTHORIZATION_FAILED',
]);

/** Whether every attempt and every partition that the client's error tells of ended with a broker's refusal to write. */
export function isRefusalToWrite(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { apiId, errors } = error as { readonly apiId?: unknown; readonly errors?: unknown };
  if (!Array.isArray(errors)) return REFUSALS_TO_WRITE.has(apiId);
  return errors.length > 0 && errors.every(isRefusalToWrite);
}

/** A call that must not outlive its time. Whatever it throws leaves as a PortError, with the client's error as its cause. */
export async function kafkaCall<Result>(what: string, timeoutMs: number, call: () => Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new PortError('deadline_exceeded', `${what}: no answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
  });
  try {
    return await Promise.race([call(), timeout]);
  } catch (error) {
    throw kafkaError(what, error);
  } finally {
    clearTimeout(timer);
  }
}

/** The error as a PortError that says what was being done. */
export function kafkaError(what: string, error: unknown): PortError {
  // Ours comes back wrapped where the client asked for it, as for a password.
  const own = nestedIn(error).find(isPortError);
  if (own) return own;
  const names = namesOfKafkaError(error);
  const why = [...new Set(names.length > 0 ? names : innermostIn(error).map(inWords))].join(', ');
  return new PortError(codeOfKafkaError(error), `${what}: ${why}`, { cause: error });
}

/** Of a call that was repeated, what each attempt ended with: the client's own message names them all, one within the other. */
function innermostIn(error: unknown): readonly unknown[] {
  const within = nestedIn(error).filter((each) => each !== error);
  return within.length === 0 ? [error] : within.filter((each) => nestedIn(each).length === 1);
}

/** The client's message of a request that the broker left without an answer. */
const REQUEST_TIMED_OUT = 'Request timed out';

function inWords(error: unknown): string {
  if (error instanceof Error && error.message === REQUEST_TIMED_OUT) return 'the broker gave no answer in time';
  return error instanceof Error ? error.message : String(error);
}

function codeOfClient(code: unknown): PortErrorCode | undefined {
  if (typeof code !== 'string') return undefined;
  // Node's own errors of sockets and names have a code such as ECONNRESET.
  return CODES_OF_CLIENT[code] ?? (/^E[A-Z_]+$/.test(code) ? 'unavailable' : undefined);
}

/** The error and those in it: of a request there is one a partition, of a call that was repeated one an attempt. */
function nestedIn(error: unknown): readonly (Error & { readonly apiId?: unknown; readonly code?: unknown })[] {
  if (!(error instanceof Error)) return [];
  const { errors } = error as { readonly errors?: unknown };
  return [error, ...(Array.isArray(errors) ? (errors as unknown[]) : []).flatMap(nestedIn), ...nestedIn(error.cause)];
}
