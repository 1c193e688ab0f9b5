import { randomUUID } from 'node:crypto';
import { failure } from './key-vault.ts';
import { TlsPeer, type PeerAnswer, type PeerRequest } from './tls-peer.ts';

/** What tokens have to be for. */
export const COMMUNICATION_SCOPE = 'https://communication.azure.com//.default';

/** How the mails that it takes from now on end, and after how many times that one asks. */
interface Fate {
  status: 'Succeeded' | 'Failed';
  polls: number;
}

/** A mail that the peer took. */
export interface TakenMail {
  readonly operationId: string;
  readonly message: Readonly<Record<string, unknown>>;
}

/** A peer of the e-mail API of Azure Communication Services, as https://learn.microsoft.com/rest/api/communication/email says: it takes mails and sends none. */
export class CommunicationPeer implements AsyncDisposable {
  readonly peer: TlsPeer;
  readonly taken: TakenMail[];
  readonly fate: Fate;
  /** Tokens that it takes. */
  readonly tokens: Set<string>;

  static async start(): Promise<CommunicationPeer> {
    const service: Service = { taken: [], tokens: new Set(), fate: { status: 'Succeeded', polls: 0 }, left: new Map() };
    return new CommunicationPeer(await TlsPeer.start((request, origin) => answer(service, request, origin)), service);
  }

  private constructor(peer: TlsPeer, { taken, fate, tokens }: Service) {
    this.peer = peer;
    this.taken = taken;
    this.fate = fate;
    this.tokens = tokens;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.peer[Symbol.asyncDispose]();
  }
}

interface Service {
  readonly taken: TakenMail[];
  readonly tokens: Set<string>;
  readonly fate: Fate;
  /** How often each operation says that it is running. */
  readonly left: Map<string, number>;
}

function answer(service: Service, request: PeerRequest, origin: string): PeerAnswer {
  const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  if (token === undefined || !service.tokens.has(token))
    return failure(401, 'Denied', 'Denied by the resource provider.');
  const version = request.url.searchParams.get('api-version');
  if (version === null) return failure(400, 'BadRequest', 'api-version is missing');
  const asked = `${request.method} ${request.url.pathname}`;
  if (asked === 'POST /emails:send') return take(service, request, `${origin}/emails/operations`, version);
  const operation = /^GET \/emails\/operations\/(.+)$/.exec(asked)?.[1];
  return operation === undefined ? failure(404, 'NotFound', asked) : statusOf(service, operation);
}

function take({ taken, left, fate }: Service, { body, headers }: PeerRequest, at: string, version: string): PeerAnswer {
  const message = JSON.parse(body) as Message;
  if (!message.senderAddress || !message.content?.subject || !message.recipients?.to?.length)
    return failure(400, 'BadRequest', 'Request body validation error.');
  const given = headers['operation-id'];
  const operationId = typeof given === 'string' ? given : randomUUID();
  taken.push({ operationId, message: message as TakenMail['message'] });
  left.set(operationId, fate.polls);
  return {
    status: 202,
    headers: { 'operation-location': `${at}/${operationId}?api-version=${version}`, 'retry-after': '1' },
    body: { id: operationId, status: 'Running' },
  };
}

interface Message {
  readonly senderAddress?: string;
  readonly content?: { readonly subject?: string };
  readonly recipients?: { readonly to?: readonly unknown[] };
}

function statusOf({ left, fate }: Service, id: string): PeerAnswer {
  const polls = left.get(id);
  if (polls === undefined) return failure(404, 'OperationNotFound', `There is no operation ${id}.`);
  left.set(id, polls - 1);
  if (polls > 0) return { status: 200, headers: { 'retry-after': '1' }, body: { id, status: 'Running' } };
  if (fate.status === 'Succeeded') return { status: 200, body: { id, status: 'Succeeded' } };
  const error = { code: 'EmailDropped', message: 'Email was dropped after several attempts to deliver.' };
  return { status: 200, body: { id, status: 'Failed', error } };
}
