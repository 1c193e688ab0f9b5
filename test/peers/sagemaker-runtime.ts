import { createHash, createHmac } from 'node:crypto';
import type { ModelServer } from './model-server.ts';
import { WireServer, type WireAnswer, type WireRequest } from './wire-server.ts';

const CREDENTIALS = { accessKeyId: 'test', secretAccessKey: 'test' };
const ACCOUNT = '123456789012';
/** The larger of what AWS's documents say of an endpoint on instances. */
const MAX_BODY_BYTES = 25_000_000;

/**
 * SageMaker's runtime as https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html has it: signatures (Version 4) are
 * checked, the container's answers passed on, and those that are no success become ModelError, 424.
 */
export class SagemakerRuntime implements AsyncDisposable {
  readonly wire: WireServer;

  static async start(
    container: ModelServer,
    place: { readonly region: string; readonly endpointName: string },
  ): Promise<SagemakerRuntime> {
    // The SDK's default chain finds them, as it would on a machine of AWS.
    Object.assign(process.env, {
      AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
    });
    const isSigned = await signatureCheck(place.region);
    const wire = await WireServer.start(async (request) => {
      const refusal = await refusalOf(request, place.endpointName, isSigned);
      if (refusal) return refusal;
      const { status, body } = await container.post('/invocations', request.body);
      const variant = { 'x-amzn-invoked-production-variant': 'AllTraffic' };
      return status < 300 ? { status: 200, headers: variant, body } : modelError(status, body);
    });
    return new SagemakerRuntime(wire);
  }

  private constructor(wire: WireServer) {
    this.wire = wire;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.wire[Symbol.asyncDispose]();
  }
}

/** An error as the service answers it: its name in a header, its members in the body. */
export function awsError(name: string, status: number, message: string, members: object = {}): WireAnswer {
  const body = JSON.stringify({ Message: message, ...members });
  return { status, headers: { 'x-amzn-errortype': name, 'x-amzn-requestid': 'a-request' }, body };
}

/** The container answered so. */
export function modelError(status: number, message: string): WireAnswer {
  const kind = status < 500 ? 'client error' : 'server error';
  return awsError('ModelError', 424, `Received ${kind} (${status}) from primary with message "${message}".`, {
    ...{ OriginalStatusCode: status, OriginalMessage: message },
    LogStreamArn: `arn:aws:logs:eu-central-1:${ACCOUNT}:log-group:/aws/sagemaker/Endpoints/akron`,
  });
}

async function refusalOf(
  { method, path, headers, body }: WireRequest,
  endpointName: string,
  isSigned: (request: WireRequest) => Promise<boolean>,
): Promise<WireAnswer | undefined> {
  if (!(await isSigned({ method, path, headers, body })))
    return awsError('InvalidSignatureException', 403, 'The request signature we calculated does not match.');
  const name = /^\/endpoints\/([^/]+)\/invocations$/.exec(path)?.[1];
  if (method !== 'POST' || name === undefined) return awsError('UnknownOperationException', 404, '');
  if (name !== endpointName)
    return awsError('ValidationError', 400, `Endpoint ${name} of account ${ACCOUNT} not found.`);
  if (body.byteLength > MAX_BODY_BYTES)
    return awsError('ValidationError', 400, `Member must have length less than or equal to ${MAX_BODY_BYTES}`);
  return undefined;
}

/** Signs what came once more, with AWS's own implementation, and compares. */
async function signatureCheck(region: string): Promise<(request: WireRequest) => Promise<boolean>> {
  const { SignatureV4 } = await import('@smithy/signature-v4');
  const signer = new SignatureV4({ service: 'sagemaker', region, credentials: CREDENTIALS, sha256: Sha256 });
  return async ({ method, path, headers, body }) => {
    const { authorization = '', host = '' } = headers;
    const names = /SignedHeaders=([^,]+)/.exec(authorization)?.[1]?.split(';') ?? [];
    const stamp = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(String(headers['x-amz-date']));
    const isBody = headers['x-amz-content-sha256'] === createHash('sha256').update(body).digest('hex');
    if (!stamp || !isBody) return false;
    const [, year, month, day, hour, minute, second] = stamp;
    const [hostname = '', port] = host.split(':');
    const signed = await signer.sign(
      {
        ...{ method, path, protocol: 'http:', hostname, port: Number(port), query: {}, body },
        headers: Object.fromEntries(names.map((name) => [name, String(headers[name])])),
      },
      { signingDate: new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`) },
    );
    return signed.headers['authorization'] === authorization;
  };
}

/** SHA-256, keyed or not, as AWS's implementation asks for it. */
class Sha256 {
  readonly #hash;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(secret));
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(data));
  }

  reset(): void {
    throw new Error('a hash is used once');
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data);
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}
