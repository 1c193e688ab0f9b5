import { isPortError, PortError, type PortErrorCode } from '#core/errors.ts';

/** What the protocol's errors mean, by their names in https://kafka.apache.org/protocol.html#protocol_error_codes. Others are `internal`. */
const CODES: Readonly<Record<string, PortErrorCode>> = {
  UNKNOWN_TOPIC_OR_PARTITION: 'not_found',
  UNKNOWN_TOPIC_ID: 'not_found',
  INVALID_TOPIC_EXCEPTION: 'invalid_argument',
  MESSAGE_TOO_LARGE: 'invalid_argument',
  RECORD_LIST_TOO_LARGE: 'invalid_argument',
  INVALID_GROUP_ID: 'invalid_argument',
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

/** The protocol's names of the errors in an error of the client, which nests them: a request has one a partition, a retry one an attempt. */
export function namesOfKafkaError(error: unknown): readonly string[] {
  if (!(error instanceof Error)) return [];
  const { apiId, errors, cause } = error as { apiId?: unknown; errors?: unknown; cause?: unknown };
  const inner = Array.isArray(errors) ? (errors as unknown[]) : [];
  return [
    ...(typeof apiId === 'string' ? [apiId] : []),
    ...inner.flatMap(namesOfKafkaError),
    ...namesOfKafkaError(cause),
  ];
}

/** The code of an error of the client: by the protocol's names in it, then the client's own. */
export function codeOfKafkaError(error: unknown): PortErrorCode {
  for (const name of namesOfKafkaError(error)) if (CODES[name] !== undefined) return CODES[name];
  return codeOfClientError(error) ?? 'internal';
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
  if (isPortError(error)) return error;
  const names = [...new Set(namesOfKafkaError(error))].join(', ');
  return new PortError(codeOfKafkaError(error), `${what}: ${names === '' ? String(error) : names}`, { cause: error });
}

function codeOfClientError(error: unknown): PortErrorCode | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, errors, cause } = error as { code?: unknown; errors?: unknown; cause?: unknown };
  if (typeof code === 'string') {
    if (CODES_OF_CLIENT[code] !== undefined) return CODES_OF_CLIENT[code];
    // Node's own errors of sockets and names have a code such as ECONNRESET.
    if (/^E[A-Z_]+$/.test(code)) return 'unavailable';
  }
  for (const inner of [...(Array.isArray(errors) ? (errors as unknown[]) : []), cause]) {
    const found = codeOfClientError(inner);
    if (found !== undefined) return found;
  }
  return undefined;
}
