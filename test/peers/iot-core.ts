import { createHash, randomUUID, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { IoT, TopicRule } from '@aws-sdk/client-iot';
import type { Kinesis } from '@aws-sdk/client-kinesis';
import type { IConnectPacket } from 'mqtt-packet';
import { IotCoreConnection } from './iot-core-connection.ts';
import { provision, type DeviceAuthority } from './iot-core-provisioning.ts';
import { MqttListener, type MqttLink } from './mqtt-listener.ts';

const CHECKED_EVERY_MS = 200;

/**
 * A stand-in for IoT Core's broker, its rules engine and its data endpoint, which moto does not have. It knows things, certificates, policies and rules
 * from moto alone, and evaluates them as AWS documents it:
 *
 * - a client connects by MQTT 3.1.1 or 5 over TLS with an active certificate and its key, where the policies of that certificate allow it, publishes
 *   and subscribes likewise, and is disconnected for what they do not, or once the certificate is inactive;
 * - one with a certificate that nobody knew, of an authority that is registered, is provisioned by that authority's template and turned away this once;
 * - what it takes is acknowledged, and what a rule selects of it put into the Kinesis stream of its action, under its partition key;
 * - https://docs.aws.amazon.com/iot/latest/apireference/API_iotdata_Publish.html is passed on to moto, and to who has subscribed.
 *
 * Sessions end with their connection, and nothing is retained, though it takes the permission to. Of the SQL of rules it plays the statements of
 * topic-rules.ts, and no other.
 */
export class IotCore implements AsyncDisposable {
  readonly #moto: string;
  readonly #iot: IoT;
  readonly #kinesis: Kinesis;
  readonly #server: Server;
  readonly #connections = new Map<string, IotCoreConnection>();
  /** Moto has no templates for them. */
  readonly #authorities: DeviceAuthority[] = [];
  #watch: NodeJS.Timeout | undefined;
  #isOver = false;
  /** Where devices connect. */
  devices!: MqttListener;
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
    core.devices = await MqttListener.start({ asksForCertificates: true }, (link, packet) =>
      core.#connect(link, packet),
    );
    core.#server.listen(0, core.devices.address);
    await once(core.#server, 'listening');
    return core;
  }

  private constructor(moto: string, iot: IoT, kinesis: Kinesis) {
    this.#moto = moto;
    this.#iot = iot;
    this.#kinesis = kinesis;
    this.#server = createServer((request, response) => void this.#onRequest(request, response));
    this.#watchCertificates();
  }

  /** Of iot-data, at the host that devices connect to. */
  get endpoint(): string {
    const { address, port } = this.#server.address() as AddressInfo;
    return `http://${address}:${port}`;
  }

  /** Registers an authority whose devices are provisioned by that body of a template. */
  registerAuthority(certificate: string, templateBody: string): void {
    this.#authorities.push({ certificate: new X509Certificate(certificate), templateBody });
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
    this.#isOver = true;
    clearTimeout(this.#watch);
    for (const connection of this.#connections.values()) connection.forget();
    await this.devices[Symbol.asyncDispose]();
    await this.#putting;
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** The certificate's key was proven by the handshake. */
  async #connect(link: MqttLink, packet: IConnectPacket): Promise<IotCoreConnection | undefined> {
    const shown = link.socket.getPeerX509Certificate();
    if (shown === undefined) return undefined;
    const certificateId = createHash('sha256').update(shown.toString()).digest('hex');
    const certificateDescription = await this.#described(certificateId);
    if (certificateDescription === undefined) {
      const authority = this.#authorities.find(({ certificate: { publicKey } }) => shown.verify(publicKey));
      if (authority) await provision(this.#iot, shown, authority);
      return undefined;
    }
    if (certificateDescription.status !== 'ACTIVE') return undefined;
    const { clientId } = packet;
    const allows = await this.#permissions(clientId, certificateDescription.certificateArn!);
    const connection = new IotCoreConnection(link, packet, {
      ...{ certificateId, allows },
      published: (topic, payload) => this.#published(clientId, certificateId, topic, payload),
      happened: (topic, event) => this.#select(topic, clientId, { clientId, ...event }),
      ended: () => {
        if (this.#connections.get(clientId) === connection) this.#connections.delete(clientId);
      },
    });
    if (!connection.mayConnect()) return undefined;
    this.#connections.get(clientId)?.end('DUPLICATE_CLIENTID');
    this.#connections.set(clientId, connection);
    connection.begin();
    return connection;
  }

  async #described(certificateId: string) {
    try {
      return (await this.#iot.describeCertificate({ certificateId })).certificateDescription;
    } catch (error) {
      if (error instanceof Error && error.name === 'ResourceNotFoundException') return undefined;
      throw error;
    }
  }

  /** What the policies of the certificate let a client of that id do. */
  async #permissions(thingName: string, arn: string): Promise<(action: string, resource: string) => boolean> {
    const { principals = [] } = await this.#iot.listThingPrincipals({ thingName }).catch(() => ({}) as never);
    const { attributes = {} } = principals.includes(arn) ? await this.#iot.describeThing({ thingName }) : {};
    const variables = new Map(Object.entries(attributes).map(([name, value]) => [`Attributes[${name}]`, value]));
    if (principals.includes(arn)) variables.set('ThingName', thingName);
    const { policies = [] } = await this.#iot.listAttachedPolicies({ target: arn });
    const documents = await Promise.all(
      policies.map(async ({ policyName }) => (await this.#iot.getPolicy({ policyName })).policyDocument!),
    );
    const prefix = arn.split(':').slice(0, 5).join(':');
    return (action, resource) => isAllowed(documents, variables, action, `${prefix}:${resource}`);
  }

  /** One look after the other, however long moto takes. */
  #watchCertificates(): void {
    if (this.#isOver) return;
    this.#watch = setTimeout(
      () => void this.#endRevoked().then(() => this.#watchCertificates()),
      CHECKED_EVERY_MS,
    ).unref();
  }

  /** Those whose certificate is no longer active. */
  async #endRevoked(): Promise<void> {
    if (this.#connections.size === 0) return;
    const listed = await this.#iot.listCertificates({}).catch(() => undefined);
    const revoked = new Set(
      listed?.certificates?.filter(({ status }) => status !== 'ACTIVE').map(({ certificateId }) => certificateId),
    );
    for (const connection of this.#connections.values())
      if (revoked.has(connection.certificateId)) connection.end('AUTH_ERROR');
  }

  async #published(clientId: string, principal: string, topic: string, payload: Buffer): Promise<void> {
    const selected = { payload: payload.toString('base64'), topic, clientId, principal, timestamp: Date.now() };
    this.#deliver(topic, payload);
    await this.#select(topic, clientId, selected);
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
    for (const connection of this.#connections.values()) connection.deliver(topic, payload);
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
