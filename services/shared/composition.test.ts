import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { provide, provideNotifier } from '#adapters/provider-module.ts';
import { FAMILIES, PROVIDERS } from '#adapters/providers.ts';
import { until } from '#core/contracts/until.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { PORT_NAMES, type BoundPorts, type PortName } from '#core/ports/tokens.ts';
import { composeAlertEngine, wireAlertEngine } from '#services/alert-engine/composition.ts';
import { composeApiGateway } from '#services/api-gateway/composition.ts';
import { composeFeatureService } from '#services/feature-service/composition.ts';
import { composeIngestionService, wireIngestion } from '#services/ingestion-service/composition.ts';
import { composeMlService } from '#services/ml-service/composition.ts';
import { composeSimulator } from '#services/edge-simulator/composition.ts';
import { parseSimulatorConfig } from '#services/edge-simulator/config.ts';
import { composeTimeseriesService } from '#services/timeseries-service/composition.ts';
import { selfSignedCertificate } from '#test/support/self-signed-certificate.ts';
import { startBroker } from '#test/support/wire-peers.ts';
import { openRuntime, type ServiceRuntime } from './composition.ts';
import { portOf } from './config/addresses.ts';
import { loadConfiguration } from './config/load.ts';
import type { ReadinessReport } from './http/readiness.ts';
import { DATA_FORMAT } from './process/data-format.ts';
import { readAddress, runningServices } from './process/service-address.ts';

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'tribo-runtime-'));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

const configuration = (further: Readonly<Record<string, string>> = {}) =>
  loadConfiguration({
    env: {},
    flags: { dataDir, mqttPort: '0', httpPort: '0', logLevel: 'silent', demo: 'false', ...further },
  });

describe('the runtime of a process', () => {
  it('opens every port, each once, and closes them', async () => {
    const runtime = openRuntime(configuration(), 'test');
    for (const name of PORT_NAMES) expect([name, await runtime.port(name)]).toEqual([name, expect.anything()]);
    for (const name of PORT_NAMES) expect(await runtime.port(name)).toBe(await runtime.port(name));
    await runtime.close();
    const again = openRuntime(configuration(), 'test');
    expect(await again.port('timeSeriesStore')).toBeDefined();
    await again.close();
  });
});

describe('the ports of a process', () => {
  it('are measured under the names of their adapters, also where one asks another', async () => {
    const runtime = openRuntime(configuration(), 'test');
    await (await runtime.port('objectStore')).get('nothing');
    await (
      await runtime.port('modelRegistry')
    ).register(
      { name: 'health', tenant: 'demo' as TenantId },
      {
        ...{ artifact: Buffer.from('model'), format: 'onnx', inputs: [], parameters: {} },
        provenance: { trainedOn: '', fromMs: 0, toMs: 0, samples: 0, software: '', metrics: {} },
      },
    );
    await (await runtime.port('timeSeriesStore')).settled();
    const notifier = (await runtime.port('notifiers'))[0]!;
    await expect(notifier.send({ id: '1', notice: undefined as never })).rejects.toThrow();
    const unreached = runtime.store.settled({ signal: AbortSignal.abort() });
    await expect(unreached).rejects.toMatchObject({ code: 'cancelled' });
    const exposed = await runtime.metrics.metrics();
    await runtime.close();
    for (const labels of [
      'tribo_port="objectStore",tribo_method="get",tribo_adapter="file-object-store"} 1',
      'tribo_port="objectStore",tribo_method="put",tribo_adapter="file-object-store"} 1',
      'db_system_name="sqlite",db_operation_name="register",tribo_port="modelRegistry"} 1',
      'db_system_name="duckdb",db_operation_name="settled",tribo_port="timeSeriesStore"} 1',
      'tribo_port="notifiers",tribo_method="send",tribo_adapter="log-notifier",error_type="_OTHER"} 1',
      'tribo_port="timeSeriesStore",tribo_method="settled",tribo_adapter="time-series",error_type="cancelled"} 1',
    ])
      expect(exposed).toContain(`_duration_seconds_count{service="test",${labels}`);
  });
});

describe('a service that needs a power which the bound adapter lacks', () => {
  it.each([
    ['alert-engine', wireAlertEngine, 'MeasuredStream'],
    ['ingestion-service', wireIngestion, 'MeasuredStream'],
  ] as const)(
    '%s does not start, and says which power of which adapter, and what to do',
    async (name, wire, powers) => {
      const runtime = openRuntime(configuration(), 'test');
      try {
        const bare = new StreamWithoutPowers() as unknown as BoundPorts['eventStream'];
        const port = async (asked: PortName) => (asked === 'eventStream' ? bare : runtime.port(asked));
        await expect(wire({ ...runtime, port: port as ServiceRuntime['port'] })).rejects.toMatchObject({
          code: 'failed_precondition',
          message:
            `${name} needs the capability ${powers} of the port eventStream, which the adapter StreamWithoutPowers does not have: ` +
            'bind an adapter that has it (docs/capabilities.md says which do), or leave the service out at this site',
        });
      } finally {
        await runtime.close();
      }
    },
  );
});

describe('a site of a provider', () => {
  it.each(Object.entries(PROVIDERS))('%s has for each port an adapter that exists', (_provider, adapters) => {
    const offers = Object.values(FAMILIES).flat();
    for (const [port, adapter] of Object.entries(adapters))
      expect(offers.filter((offer) => offer.port === port && offer.adapter === adapter)).toHaveLength(1);
  });

  it('whose stream lacks a power that a service needs does not start it, and says which', async () => {
    const portsFile = join(dataDir, 'ports.yaml');
    writeFileSync(portsFile, 'provider: bare');
    const stream = new StreamWithoutPowers() as unknown as BoundPorts['eventStream'];
    const choice = {
      families: { bare: [provide('eventStream', 'bare-event-stream', z.strictObject({}), async () => stream)] },
      providers: { bare: { eventStream: 'bare-event-stream' } },
    };
    const runtime = openRuntime(configuration({ portsFile }), 'test', { choice });
    await expect(wireAlertEngine(runtime)).rejects.toThrow(
      'alert-engine needs the capability MeasuredStream of the port eventStream',
    );
    await runtime.close();
  });

  it('has the notifiers that its file names beside those of this machine, and closes them', async () => {
    const portsFile = join(dataDir, 'ports.yaml');
    writeFileSync(
      portsFile,
      'notifiers:\n  - { adapter: bell-notifier, name: one }\n  - { adapter: bell-notifier, name: two }',
    );
    const closed: string[] = [];
    const bell = provideNotifier(
      'bell-notifier',
      z.strictObject({ name: z.string() }),
      async ({ name }) => ({
        ...{ name, takes: new Set(['alarm'] as const), send: async () => undefined },
        close: async () => void closed.push(name),
      }),
      { target: ({ name }) => name, needs: () => 'nothing' },
    );
    const runtime = openRuntime(configuration({ portsFile }), 'test', {
      choice: { families: { tower: [bell] }, providers: { embedded: {} } },
    });
    expect((await runtime.port('notifiers')).map(({ name }) => name)).toEqual(['log', 'one', 'two']);
    await runtime.close();
    expect(closed.sort()).toEqual(['one', 'two']);
  });

  it('trusts the issuers that its file names beside its own', async () => {
    const portsFile = join(dataDir, 'ports.yaml');
    const directoryId = 'aaaabbbb-0000-cccc-1111-dddd2222eeee';
    writeFileSync(
      portsFile,
      `aws: { region: us-east-2 }
identityVerifiers:
  - { adapter: oidc, issuer: 'https://id.example', audience: tribo }
  - { adapter: aws, userPoolId: us-east-2_AbCd, clientIds: [plant], tenant: { is: north } }
  - { adapter: azure, directoryId: ${directoryId}, audience: ${directoryId}, tenant: { claim: extension_tenant } }
  - { adapter: gcp, projectId: plant-akron }`,
    );
    const runtime = openRuntime(configuration({ portsFile }), 'test');
    expect((await runtime.port('identityVerifiers')).map(({ issuer }) => issuer)).toEqual([
      expect.stringMatching(/^https:..[0-9a-f]{16}\.issuer\.tribo\.localhost$/),
      'https://id.example',
      'https://cognito-idp.us-east-2.amazonaws.com/us-east-2_AbCd',
      `https://login.microsoftonline.com/${directoryId}/v2.0`,
      'https://securetoken.google.com/plant-akron',
    ]);
    await runtime.close();
  });

  it.each([
    [
      'the gateway of IoT Core',
      'aws: { region: us-east-2, stateTable: akron }\ndeviceGateway: { adapter: iot-core-device-gateway, dataEndpoint: "https://akron.example", deviceStream: akron }',
      'deviceGateway.adapter iot-core-device-gateway needs iot-core-device-registry, and deviceRegistry is embedded',
    ],
    [
      'the gateway of IoT Hub',
      'deviceRegistry: { adapter: postgres-device-registry }\ndeviceGateway: { adapter: iot-hub-device-gateway }',
      'deviceGateway.adapter iot-hub-device-gateway needs iot-hub-device-registry, and deviceRegistry is postgres-device-registry',
    ],
    [
      'a user pool, and its issuer once more',
      `identityVerifiers:
  - { adapter: cognito-identity-verifier, region: us-east-2, userPoolId: us-east-2_AbCd, clientIds: [plant], tenant: { is: north } }
  - { adapter: oidc, issuer: 'https://cognito-idp.us-east-2.amazonaws.com/us-east-2_AbCd', audience: tribo }`,
      'ports.yaml:3: identityVerifiers.1 is for the issuer https://cognito-idp.us-east-2.amazonaws.com/us-east-2_AbCd, as identityVerifiers.0 is',
    ],
    [
      'two issuers of one sign-in',
      `identityVerifiers:
  - { adapter: oidc, issuer: 'https://one.example', audience: tribo, signIn: { id: company, name: One, clientId: page } }
  - { adapter: oidc, issuer: 'https://two.example', audience: tribo, signIn: { id: company, name: Two, clientId: page } }`,
      'ports.yaml:3: identityVerifiers.1 is for the signIn.id company, as identityVerifiers.0 is',
    ],
    [
      'the own issuer of a site',
      `identityVerifiers:
  - { adapter: oidc, issuer: 'https://0123456789abcdef.issuer.tribo.localhost', audience: tribo }`,
      "ports.yaml:2: identityVerifiers.0.issuer is wrong: is a Tribo site's own issuer",
    ],
    [
      'the own issuer of a site, and what else is wrong',
      `identityVerifiers:
  - { adapter: oidc, issuer: 'https://0123456789abcdef.issuer.tribo.localhost', audience: 7, clockToleranceMs: -1 }`,
      /own issuer.*\n.*audience is wrong.*\n.*clockToleranceMs is wrong/,
    ],
  ])('whose file has %s beside what does not go with it is refused by its line', (_what, text, problem) => {
    const portsFile = join(dataDir, 'ports.yaml');
    writeFileSync(portsFile, text);
    expect(() => openRuntime(configuration({ portsFile }), 'test')).toThrow(problem);
  });

  it('whose file says too little is told all of it before anything is opened', () => {
    const portsFile = join(dataDir, 'ports.yaml');
    writeFileSync(portsFile, 'provider: aws');
    const missing = /aws\.region is missing.*\n(.*\n)*.*postgres\.host is missing/;
    expect(() => openRuntime(configuration({ portsFile }), 'test')).toThrow(missing);
  });
});

/** A provider's stream of which the port's own methods are not asked here, and that has no other. */
class StreamWithoutPowers {
  async close(): Promise<void> {
    // Holds nothing.
  }
}

describe('a service as a process of its own', () => {
  const services = [
    ['timeseries-service', composeTimeseriesService],
    ['alert-engine', composeAlertEngine],
    ['ml-service', composeMlService],
    ['feature-service', composeFeatureService],
    ['ingestion-service', composeIngestionService],
    ['api-gateway', composeApiGateway],
  ] as const;

  it.each(services)('%s leaves a data folder of another format alone', async (_name, compose) => {
    writeFileSync(join(dataDir, 'format.json'), `{"format":${DATA_FORMAT + 1},"createdBy":"9.0.0"}`);
    await expect(compose(configuration())).rejects.toThrow(`has data format ${DATA_FORMAT + 1} and this Tribo reads`);
    // Where the sockets of processes are.
    expect(readdirSync(dataDir).filter((name) => name !== 'run')).toEqual(['format.json']);
  });

  it.each(services)('%s starts alone, serves its health and metrics, says where, and closes', async (name, compose) => {
    const service = await compose(configuration());
    const { operationUrl } = service;
    expect(readAddress(dataDir, name)).toMatchObject({ pid: process.pid, operationUrl });
    expect(runningServices(dataDir)).toEqual([{ name, pid: process.pid }]);
    expect((await fetch(`${operationUrl}/health/live`)).status).toBe(200);
    const ready = await fetch(`${operationUrl}/health/ready`);
    const { status, checks } = (await ready.json()) as ReadinessReport;
    expect(ready.status).toBe(status === 'ready' ? 200 : 503);
    expect(checks.length).toBeGreaterThan(0);
    for (const { ok, reason } of checks) expect(ok).toBe(reason === undefined);
    expect(await (await fetch(`${operationUrl}/metrics`)).text()).toContain(`service="${name}"`);
    await service.close();
    expect(readdirSync(join(dataDir, 'run'))).toEqual([]);
    expect(runningServices(dataDir)).toEqual([]);
    await expect(fetch(`${operationUrl}/health/live`)).rejects.toThrow();
  });
});

describe('the simulator as a process of its own', () => {
  it('is ready while its devices are connected, counts their messages, says where, and closes', async () => {
    const broker = await startBroker();
    const given = ['--mqtt-port', String(broker.port), '--data-dir', dataDir, '--log-level', 'silent'];
    const simulator = await composeSimulator(parseSimulatorConfig(given, {}));
    try {
      const { operationUrl } = simulator;
      expect(readAddress(dataDir, 'edge-simulator')).toMatchObject({ pid: process.pid, operationUrl });
      expect((await fetch(`${operationUrl}/health/live`)).status).toBe(200);
      await until(async () => (await fetch(`${operationUrl}/health/ready`)).status === 200);
      const acknowledged =
        /^tribo_simulator_messages{device="pump-1",outcome="acknowledged",service="edge-simulator"} (\d+)$/m;
      let metrics = '';
      await until(async () => {
        metrics = await (await fetch(`${operationUrl}/metrics`)).text();
        return Number(acknowledged.exec(metrics)?.[1]) > 0;
      });
      expect(metrics).toContain('device="press-1",outcome="dropped",service="edge-simulator"} 0');
      await broker.stop();
      await until(async () => (await fetch(`${operationUrl}/health/ready`)).status === 503);
    } finally {
      await simulator.close();
    }
    expect(runningServices(dataDir)).toEqual([]);
    await expect(fetch(`${simulator.operationUrl}/health/live`)).rejects.toThrow();
  });
});

describe('a service that devices or people connect to', () => {
  const servers = [
    ['ingestion-service', composeIngestionService],
    ['api-gateway', composeApiGateway],
  ] as const;

  it.each(servers)('%s refuses to listen off loopback in the clear', async (_name, compose) => {
    await expect(compose(configuration({ host: '0.0.0.0' }))).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringMatching(/0\.0\.0\.0 is not loopback.* set TRIBO_TLS_CERT .* start with --insecure$/),
    });
  });

  it.each(servers)('%s presents a renewed certificate without a restart', async (name, compose) => {
    const [tlsCert, tlsKey] = [join(dataDir, 'tribo.pem'), join(dataDir, 'tribo.key')];
    const present = ({ cert, key }: ReturnType<typeof selfSignedCertificate>): void => {
      writeFileSync(tlsCert, cert);
      writeFileSync(tlsKey, key);
    };
    const [first, next] = [selfSignedCertificate(), selfSignedCertificate()];
    present(first);
    const service = await compose(configuration({ tlsCert, tlsKey }));
    try {
      const { mqttPort, url } = readAddress(dataDir, name) ?? {};
      const port = mqttPort ?? portOf(url ?? '');
      await handshake(port, first.cert);
      present(next);
      service.renewCertificates?.();
      await handshake(port, next.cert);
      await expect(handshake(port, first.cert)).rejects.toThrow('self-signed certificate');
      writeFileSync(tlsCert, 'x');
      service.renewCertificates?.();
      await handshake(port, next.cert);
    } finally {
      await service.close();
    }
  });
});

/** @throws Error where the server presents another certificate. */
async function handshake(port: number, ca: string): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port, ca });
  try {
    await once(socket, 'secureConnect');
  } finally {
    socket.destroy();
  }
}
