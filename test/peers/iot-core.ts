import { createHash, createPrivateKey, randomUUID, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { IoT, TopicRule } from '@aws-sdk/client-iot';
import type { Kinesis } from '@aws-sdk/client-kinesis';

/**
 * A stand-in for IoT Core's broker, its rules engine and its data endpoint, which moto does not have. It knows things, certificates, policies and rules
 * from moto alone, and evaluates them as AWS documents it:
 *
 * - a client connects with an active certificate and its key, where the policies of that certificate allow it, publishes and subscribes likewise,
 *   and is disconnected for what they do not, or once the certificate is inactive;
 * - what a rule selects is put into the Kinesis stream of its action, under its partition key, and then acknowledged;
 * - https://docs.aws.amazon.com/iot/latest/apireference/API_iotdata_Publish.html is passed on to moto, and to who has subscribed.
 *
 * Sessions end with their connection. Of the SQL of rules it plays the statements of topic-rules.ts, and no other.
 */
export class IotCore implements AsyncDisposable {
  readonly #moto: string;
  readonly #iot: IoT;
  readonly #kinesis: Kinesis;
  readonly #server: Server;
  readonly #clients = new Set<IotClient>();
  #rules: readonly Rule[] = [];
  #waiting: {
    readonly stream: string;
    readonly key: string;
    readonly data: Buffer;
    readonly put: (value: undefined) => void;
  }[] = [];
  #putting: Promise<void> = Promise.resolve();

  static async start(moto: string, iot: IoT, kinesis: Kinesis, rules: readonly string[]): Promise<IotCore> {
    const core = new IotCore(moto, iot, kinesis);
    core.#rules = await Promise.all(
      rules.map(async (ruleName) => ruleOf((await iot.getTopicRule({ ruleName })).rule!)),
    );
    core.#server.listen(0, '127.0.0.1');
    await once(core.#server, 'listening');
    return core;
  }

  private constructor(moto: string, iot: IoT, kinesis: Kinesis) {
    this.#moto = moto;
    this.#iot = iot;
    this.#kinesis = kinesis;
    this.#server = createServer((request, response) => void this.#onRequest(request, response));
  }

  /** Of iot-data. */
  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Connects with a certificate and its key, both PEM in one text. Rejects when it is turned away. */
  async connect(credentials: string, clientId: string): Promise<IotClient> {
    const arn = await this.#certificate(credentials);
    const { principals = [] } = await this.#iot.listThingPrincipals({ thingName: clientId }).catch(() => ({}) as never);
    const { attributes = {} } = principals.includes(arn) ? await this.#iot.describeThing({ thingName: clientId }) : {};
    const variables = new Map(Object.entries(attributes).map(([name, value]) => [`Attributes[${name}]`, value]));
    if (principals.includes(arn)) variables.set('ThingName', clientId);
    const { policies = [] } = await this.#iot.listAttachedPolicies({ target: arn });
    const documents = await Promise.all(
      policies.map(async ({ policyName }) => (await this.#iot.getPolicy({ policyName })).policyDocument!),
    );
    const prefix = arn.split(':').slice(0, 5).join(':');
    const allows = (action: string, resource: string) =>
      isAllowed(documents, variables, action, `${prefix}:${resource}`);
    if (!allows('iot:Connect', `client/${clientId}`)) throw new Error('the connection is not authorized');
    const client = new IotClient(clientId, {
      allows,
      isActive: async () => (await this.#statusOf(arn)) === 'ACTIVE',
      published: (topic, payload) => this.#published(clientId, arn, topic, payload),
      happened: (topic, event) => this.#select(topic, clientId, { clientId, ...event }),
      ended: () => this.#clients.delete(client),
    });
    this.#clients.add(client);
    await client.begin();
    return client;
  }

  /** Puts a record as the error action of the rule of messages has it. */
  async fail(clientId: string, topic: string, payload: Uint8Array): Promise<void> {
    const rule = this.#rules[0]!;
    const record = {
      ...{ ruleName: rule.name, topic, clientId, cloudwatchTraceId: randomUUID() },
      base64OriginalPayload: Buffer.from(payload).toString('base64'),
      failures: [{ failedAction: 'KinesisAction', failedResource: rule.stream, errorMessage: 'Rate exceeded' }],
    };
    await this.#put(rule.errorStream, randomUUID(), Buffer.from(JSON.stringify(record)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.cut();
    await this.#putting;
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #certificate(credentials: string): Promise<string> {
    const end = credentials.indexOf('-----END CERTIFICATE-----\n') + '-----END CERTIFICATE-----\n'.length;
    const [pem, key] = [credentials.slice(0, end), credentials.slice(end)];
    // A handshake would fail by either; what OpenSSL would pass over is none of PEM.
    if (!key.endsWith('PRIVATE KEY-----\n') || !new X509Certificate(pem).checkPrivateKey(createPrivateKey(key)))
      throw new Error('the certificate is not proven');
    const certificateId = createHash('sha256').update(pem).digest('hex');
    const { certificateDescription } = await this.#iot.describeCertificate({ certificateId });
    if (certificateDescription?.status !== 'ACTIVE') throw new Error('the certificate is not active');
    return certificateDescription.certificateArn!;
  }

  async #statusOf(arn: string): Promise<string | undefined> {
    const certificateId = arn.split('/')[1];
    const described = await this.#iot.describeCertificate({ certificateId }).catch(() => undefined);
    return described?.certificateDescription?.status;
  }

  async #published(clientId: string, arn: string, topic: string, payload: Buffer): Promise<void> {
    const selected = {
      payload: payload.toString('base64'),
      topic,
      clientId,
      principal: arn.split('/')[1],
      timestamp: Date.now(),
    };
    await this.#select(topic, clientId, selected);
    this.#deliver(topic, payload);
  }

  async #select(topic: string, clientId: string, selected: object): Promise<void> {
    const data = Buffer.from(JSON.stringify(selected));
    const segments = topic.split('/');
    for (const { filter, except, stream, partitionKey } of this.#rules) {
      if (!filter.test(topic) || (except !== undefined && segments[5] === except)) continue;
      const key = partitionKey
        .replaceAll(/\$\{topic\((\d)\)\}/g, (_, index: string) => segments[Number(index) - 1] ?? '')
        .replaceAll('${clientId}', clientId);
      await this.#put(stream, key, data);
    }
  }

  /** All that was put in a turn goes in one request, one request at a time: what one client sends keeps its order. */
  #put(stream: string, key: string, data: Buffer): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    if (this.#waiting.push({ stream, key, data, put: resolve }) === 1)
      this.#putting = this.#putting.then(async () => {
        await new Promise((next) => setImmediate(next));
        const batch = this.#waiting;
        this.#waiting = [];
        for (const [StreamName, records] of Map.groupBy(batch, (each) => each.stream))
          await this.#kinesis.putRecords({
            StreamName,
            Records: records.map((each) => ({ Data: each.data, PartitionKey: each.key })),
          });
        for (const { put } of batch) put(undefined);
      });
    return promise;
  }

  async #onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const [path = '', query] = request.url!.split('?');
    const headers = Object.entries(request.headers).filter(([name]) =>
      /^(authorization|x-amz-|content-type)/.test(name),
    );
    const answer = await fetch(`${this.#moto}${request.url}`, {
      ...{ method: request.method!, body, headers: headers as [string, string][] },
    });
    if (answer.ok && new URLSearchParams(query).get('qos') === '1')
      this.#deliver(decodeURIComponent(path.replace('/topics/', '')), body);
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
  }

  #deliver(topic: string, payload: Buffer): void {
    for (const client of this.#clients) client.receive(topic, payload);
  }
}

interface IotClientParts {
  readonly allows: (action: string, resource: string) => boolean;
  readonly isActive: () => Promise<boolean>;
  readonly published: (topic: string, payload: Buffer) => Promise<void>;
  readonly happened: (topic: string, event: object) => Promise<void>;
  readonly ended: () => void;
}

/** A client's connection, as the client sees it. */
export class IotClient {
  readonly #id: string;
  readonly #parts: IotClientParts;
  readonly #session = randomUUID().replaceAll('-', '');
  readonly #listeners = new Map<string, (payload: Uint8Array) => void>();
  #watch: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(id: string, parts: IotClientParts) {
    this.#id = id;
    this.#parts = parts;
  }

  async begin(): Promise<void> {
    await this.#tell('presence', 'connected', {});
    this.#watch = setInterval(() => void this.#check(), 200).unref();
  }

  /** Resolves on the acknowledgement. */
  async publish(topic: string, payload: Uint8Array): Promise<void> {
    await this.#authorize('iot:Publish', `topic/${topic}`);
    await this.#parts.published(topic, Buffer.from(payload));
  }

  async subscribe(topic: string, listener: (payload: Uint8Array) => void): Promise<void> {
    await this.#authorize('iot:Subscribe', `topicfilter/${topic}`);
    this.#listeners.set(topic, listener);
    await this.#tell('subscriptions', 'subscribed', { topics: [topic] });
  }

  receive(topic: string, payload: Uint8Array): void {
    if (this.#parts.allows('iot:Receive', `topic/${topic}`)) this.#listeners.get(topic)?.(payload);
  }

  /** By the client. */
  async disconnect(): Promise<void> {
    await this.#end('CLIENT_INITIATED_DISCONNECT');
  }

  /** The connection is lost, and nobody notices. */
  cut(): void {
    this.#isOver = true;
    clearInterval(this.#watch);
    this.#listeners.clear();
    this.#parts.ended();
  }

  /** The broker notices that the connection is lost. */
  async missed(): Promise<void> {
    this.#isOver = false;
    await this.#end('MQTT_KEEP_ALIVE_TIMEOUT');
  }

  async #authorize(action: string, resource: string): Promise<void> {
    if (this.#isOver) throw new Error('the connection is closed');
    if (this.#parts.allows(action, resource)) return;
    await this.#end('AUTH_ERROR');
    throw new Error(`${action} is not authorized: the connection is closed`);
  }

  async #check(): Promise<void> {
    if (!this.#isOver && !(await this.#parts.isActive())) await this.#end('AUTH_ERROR');
  }

  async #end(disconnectReason: string): Promise<void> {
    if (this.#isOver) return;
    this.cut();
    const clientInitiatedDisconnect = disconnectReason === 'CLIENT_INITIATED_DISCONNECT';
    await this.#tell('presence', 'disconnected', { clientInitiatedDisconnect, disconnectReason });
  }

  #tell(family: 'presence' | 'subscriptions', eventType: string, more: object): Promise<void> {
    const event = { timestamp: Date.now(), eventType, sessionIdentifier: this.#session, ...more, versionNumber: 0 };
    return this.#parts.happened(`$aws/events/${family}/${eventType}/${this.#id}`, event);
  }
}

interface Rule {
  readonly name: string;
  readonly filter: RegExp;
  /** The sixth segment of topics that the rule leaves out. */
  readonly except: string | undefined;
  readonly stream: string;
  readonly errorStream: string;
  readonly partitionKey: string;
}

const STATEMENT = /^SELECT .+ FROM '([^']+)'(?: WHERE topic\(6\) <> '(\w+)')?$/;

function ruleOf({ ruleName, sql, actions, errorAction }: TopicRule): Rule {
  const [, filter, except] = STATEMENT.exec(sql!) ?? [];
  if (filter === undefined) throw new Error(`the stand-in does not play ${sql}`);
  const pattern = filter.replaceAll('$', '\\$').replaceAll('+', '[^/]+').replace('#', '.+');
  const { streamName, partitionKey } = actions![0]!.kinesis!;
  return {
    ...{ name: ruleName!, filter: new RegExp(`^${pattern}$`), except },
    ...{ stream: streamName!, partitionKey: partitionKey!, errorStream: errorAction!.kinesis!.streamName! },
  };
}

interface Statement {
  readonly Effect: 'Allow' | 'Deny';
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
}

/** Allowed by one statement and denied by none. A resource whose variable has no value is that of nobody. */
function isAllowed(
  documents: readonly string[],
  variables: ReadonlyMap<string, string>,
  action: string,
  resource: string,
): boolean {
  const statements = documents.flatMap((text) => (JSON.parse(text) as { Statement: readonly Statement[] }).Statement);
  const matching = statements.filter(
    ({ Action, Resource }) =>
      [Action].flat().includes(action) && [Resource].flat().some((pattern) => matches(pattern, variables, resource)),
  );
  return matching.some(({ Effect }) => Effect === 'Allow') && !matching.some(({ Effect }) => Effect === 'Deny');
}

function matches(pattern: string, variables: ReadonlyMap<string, string>, resource: string): boolean {
  const parts = pattern.split(/(\$\{[^}]+\}|\*)/).map((part) => {
    if (part === '*') return '.*';
    const [, name] = /^\$\{iot:Connection\.Thing\.(.+)\}$/.exec(part) ?? [];
    const text = name === undefined ? part : variables.get(name);
    return text === undefined ? NOTHING : escaped(text);
  });
  return new RegExp(`^${parts.join('')}$`).test(resource);
}

/** Matches no text. */
const NOTHING = '(?!)';

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}
