import { Construct } from 'constructs';
import type { GcpStack } from './gcp-stack.ts';
import { PrivateSecret, type SecretKeys } from './private-secret.ts';

/** What a broker has, by the name of its file (docs/adapters/mqtt-device-gateway.md). */
const OF_BROKERS = {
  'server.pem': 'mqtt-server-certificate',
  'server.key': 'mqtt-server-key',
  'device-ca.pem': 'mqtt-device-authority',
  'platform-ca.pem': 'mqtt-platform-authority',
} as const;

/** What the platform has to speak to brokers with. */
const OF_GATEWAY = {
  'ca.pem': 'mqtt-broker-authority',
  'gateway.pem': 'mqtt-gateway-certificate',
  'gateway.key': 'mqtt-gateway-key',
} as const;

/** What hands on readings of programs has for that, beside the authority of the brokers. */
const OF_RELAY = {
  'relay.pem': 'mqtt-relay-certificate',
  'relay.key': 'mqtt-relay-key',
} as const;

/**
 * Where certificates and keys of brokers and of the platform's gateway are. Their values are of the site's own authorities, and put in by whoever has
 * those: none is in a stack.
 */
export class BrokerCertificates extends Construct {
  /** By the name of the file. */
  readonly brokers: ReadonlyMap<string, PrivateSecret>;
  readonly gateway: ReadonlyMap<string, PrivateSecret>;
  /** The same of the function that publishes for devices. */
  readonly relay: ReadonlyMap<string, PrivateSecret>;

  constructor(scope: GcpStack, id: string, keys: SecretKeys) {
    super(scope, id);
    const secrets = (files: Readonly<Record<string, string>>) =>
      new Map(
        Object.entries(files).map(([file, part]) => [file, new PrivateSecret(this, part, scope, { part, ...keys })]),
      );
    this.brokers = secrets(OF_BROKERS);
    this.gateway = secrets(OF_GATEWAY);
    this.relay = new Map([['ca.pem', this.gateway.get('ca.pem')!], ...secrets(OF_RELAY)]);
  }
}
