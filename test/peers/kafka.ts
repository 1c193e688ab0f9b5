import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { installed } from './cache.ts';
import { freePort, PeerProcess } from './peer-process.ts';

const POM = join(import.meta.dirname, 'kafka.pom.xml');
const VERSION = '4.1.0';
const run = promisify(execFile);

export interface KafkaOptions {
  /** Where clients are told to connect; absent: where it listens. */
  readonly advertisedPort?: number;
  /** A second listener, over TLS, for clients that sign in: by PLAIN and SCRAM as the user, or by OAUTHBEARER with a token that nobody signed. */
  readonly secured?: Secured;
}

interface Secured {
  readonly port: number;
  readonly certificate: string;
  readonly key: string;
  /** Whose tokens are taken by OAUTHBEARER, and no others. */
  readonly tokens?: KafkaTokens;
}

/** What checks tokens, instead of the broker's own validator for development. */
export interface KafkaTokens {
  readonly properties: Readonly<Record<string, string>>;
  readonly javaOptions?: readonly string[];
  /** A folder of compiled classes beside the broker's. */
  readonly classes?: string;
  /** Settings of the login module: nothing else reaches a class of one's own. */
  readonly loginClaims?: Readonly<Record<string, string>>;
}

/** The peer of every service that speaks Kafka's protocol: Apache's own broker, a single node in KRaft mode that forgets all at its end. */
export class Kafka implements AsyncDisposable {
  static readonly user = 'plant';
  static readonly password = 'let-me-in';
  readonly broker: string;
  readonly #dataDir: string;
  readonly #command: readonly [string, ...string[]];
  #process: PeerProcess | undefined;

  /** Where it is installed, installing it first where it is not. */
  static folder(): Promise<string> {
    return installed('kafka', VERSION, install);
  }

  static async start({ secured, advertisedPort }: KafkaOptions = {}): Promise<Kafka> {
    const folder = await Kafka.folder();
    const dataDir = mkdtempSync(join(tmpdir(), 'tribo-kafka-'));
    const [port, controllerPort] = [await freePort(), await freePort()];
    const settings = join(dataDir, 'server.properties');
    const places = { port, controllerPort, logDir: join(dataDir, 'log') };
    const properties = propertiesOf({
      ...{ ...places, ...(secured && { secured }) },
      ...(advertisedPort !== undefined && { advertisedPort }),
    });
    const lines = Object.entries(properties).map(([name, value]) => `${name}=${value.replaceAll('\n', '\\n')}\n`);
    writeFileSync(settings, lines.join(''));
    const { javaOptions = [], classes } = secured?.tokens ?? {};
    const classPath = [join(folder, 'libs', '*'), ...(classes === undefined ? [] : [classes])].join(':');
    const java = ['java', '-Xmx384m', '-XX:+UseSerialGC', ...javaOptions, '-cp', classPath] as const;
    const clusterId = randomUUID().replaceAll('-', '').slice(0, 22);
    await run(java[0], [
      ...java.slice(1),
      'kafka.tools.StorageTool',
      'format',
      '-t',
      clusterId,
      '-c',
      settings,
      ...scramUser(),
    ]);
    const kafka = new Kafka(`127.0.0.1:${port}`, dataDir, [...java, 'kafka.Kafka', settings]);
    await kafka.restart();
    return kafka;
  }

  private constructor(broker: string, dataDir: string, command: readonly [string, ...string[]]) {
    this.broker = broker;
    this.#dataDir = dataDir;
    this.#command = command;
  }

  /** Ends the broker, where it runs, and starts it again on its data. */
  async restart(): Promise<void> {
    await this.stop();
    const { broker } = this;
    this.#process = await PeerProcess.start({ name: 'Kafka', command: this.#command, isReady: () => answers(broker) });
  }

  /** Ends the broker as a power cut would. */
  async kill(): Promise<void> {
    if (this.#process) process.kill(this.#process.pid, 'SIGKILL');
    await this.stop();
  }

  async stop(): Promise<void> {
    await this.#process?.[Symbol.asyncDispose]();
    this.#process = undefined;
  }

  /** `settings` of the topics, by Kafka's names. */
  async createTopics(
    topics: readonly string[],
    {
      partitions,
      settings = {},
    }: { readonly partitions: number; readonly settings?: Readonly<Record<string, string>> },
  ): Promise<void> {
    const { Admin } = await import('@platformatic/kafka');
    const admin = new Admin({ clientId: 'peer', bootstrapBrokers: [this.broker] });
    try {
      const configs = Object.entries(settings).map(([name, value]) => ({ name, value }));
      await admin.createTopics({ topics: [...topics], partitions, replicas: 1, configs });
    } finally {
      await admin.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.#dataDir, { recursive: true, force: true });
  }
}

/** A broker that has elected itself answers a request for the versions of its protocol; this asks for no more than that it reads one. */
async function answers(broker: string): Promise<boolean> {
  const [host = '', port = ''] = broker.split(':');
  const header = Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff]);
  return new Promise((resolve) => {
    const socket = connect(Number(port), host);
    socket.once('connect', () => socket.write(header));
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
    socket.setTimeout(2000, () => socket.destroy());
    socket.once('close', () => resolve(false));
  });
}

interface Places extends KafkaOptions {
  readonly port: number;
  readonly controllerPort: number;
  readonly logDir: string;
}

function propertiesOf({
  port,
  controllerPort,
  logDir,
  secured,
  advertisedPort = port,
}: Places): Record<string, string> {
  const securedListener = secured ? `,SASL_SSL://127.0.0.1:${secured.port}` : '';
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port}${securedListener},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${advertisedPort}${securedListener}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL',
    'log.dirs': logDir,
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '1',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    'group.min.session.timeout.ms': '500',
    'auto.create.topics.enable': 'false',
    'log.cleaner.dedupe.buffer.size': '4194304',
    ...(secured && securityOf(secured)),
  };
}

function securityOf({ certificate, key, tokens }: Secured): Record<string, string> {
  const claims = Object.entries({ sub: 'broker', ...tokens?.loginClaims });
  const login = claims.map(([name, value]) => `unsecuredLoginStringClaim_${name}="${value}"`).join(' ');
  const listener = 'listener.name.sasl_ssl';
  const module = 'org.apache.kafka.common.security';
  return {
    [`${listener}.ssl.keystore.type`]: 'PEM',
    [`${listener}.ssl.keystore.certificate.chain`]: certificate,
    [`${listener}.ssl.keystore.key`]: key,
    [`${listener}.sasl.enabled.mechanisms`]: 'PLAIN,SCRAM-SHA-256,OAUTHBEARER',
    [`${listener}.plain.sasl.jaas.config`]: `${module}.plain.PlainLoginModule required user_${Kafka.user}="${Kafka.password}";`,
    [`${listener}.scram-sha-256.sasl.jaas.config`]: `${module}.scram.ScramLoginModule required;`,
    [`${listener}.oauthbearer.sasl.jaas.config`]: `${module}.oauthbearer.OAuthBearerLoginModule required ${login};`,
    ...tokens?.properties,
  };
}

function scramUser(): readonly string[] {
  return ['--add-scram', `SCRAM-SHA-256=[name=${Kafka.user},password=${Kafka.password}]`];
}

async function install(into: string): Promise<void> {
  copyFileSync(POM, join(into, 'pom.xml'));
  const goal = ['dependency:copy-dependencies', '-DoutputDirectory=libs', '-DincludeScope=runtime'];
  await run('mvn', ['-q', '-B', ...goal], { cwd: into });
}
