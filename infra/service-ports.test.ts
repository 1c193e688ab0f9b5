import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { demandOf } from '../core/decision/demand.ts';
import {
  INFERENCE_SERVICES,
  OPEN_STREAM,
  PUBLIC_SERVICE,
  SERVICE_LINKS,
  SERVICE_PORTS,
  type CloudPort,
} from './service-ports.ts';
import { shipped } from './testing/synthesized.ts';

const SERVICES = join(import.meta.dirname, '../services');

/** By port that a service asks for what a cloud has to let it reach; none of what is embedded or needs no right. */
const REACHED: Readonly<Record<string, readonly CloudPort[]>> = {
  clock: [],
  modelInference: [],
  identityVerifiers: [],
  eventStream: ['eventStream'],
  objectStore: ['objectStore'],
  secretStore: ['secretStore'],
  deviceGateway: ['deviceGateway', 'deviceRegistry'],
  deviceRegistry: ['deviceRegistry'],
  notifiers: ['notifiers'],
  tokenIssuer: ['database', 'secretStore'],
  modelRegistry: ['database', 'objectStore'],
  ...Object.fromEntries(
    ['timeSeriesStore', 'checkpointStore', 'machineRegistry', 'ruleStore', 'alarmJournal', 'auditTrail'].map((port) => [
      port,
      ['database'],
    ]),
  ),
};

describe('ports of services', () => {
  it.each(Object.entries(SERVICE_PORTS))('%s: those that it asks for', (service, ports) => {
    const asked = [...codeOf(service).matchAll(/\bport\('(\w+)'\)/g)].map(([, port = '']) => port);
    expect(asked.filter((port) => !(port in REACHED))).toEqual([]);
    expect(new Set(ports)).toEqual(new Set(asked.flatMap((port) => REACHED[port]!)));
  });

  it('have those named that ask for what runs models', () => {
    const asking = Object.keys(SERVICE_PORTS).filter((service) => codeOf(service).includes("port('modelInference')"));
    expect(INFERENCE_SERVICES).toEqual(asking);
  });

  it('are told of each service that is sized', () => {
    const { services } = demandOf(shipped('akron.prod'));
    expect(Object.keys(SERVICE_PORTS)).toEqual(services.map(({ service }) => service));
  });
});

describe('links between services', () => {
  it.each(Object.entries(SERVICE_LINKS))('%s: to those that it calls', (service, called) => {
    const code = codeOf(service);
    const all = Object.keys(SERVICE_LINKS).filter((other) => other !== service);
    // Whoever has a runtime may reach the store by it; the others are named where they are connected, or asked how they are.
    const store = /\bruntime\.store\b|\bstore\b[^;]*\} = runtime/.test(code) ? ['timeseries-service'] : [];
    const intake = code.includes('connectIntake(') ? ['ingestion-service'] : [];
    const named = all.filter((other) => code.includes(`'${other}'`));
    expect(new Set(called)).toEqual(new Set([...store, ...intake, ...named]));
  });
});

describe('the stream that a page keeps open', () => {
  it('is at the path that the API has for it', () => {
    const routes = readFileSync(join(SERVICES, PUBLIC_SERVICE, 'routes/event-routes.ts'), 'utf8');
    expect(routes).toContain(`path: '${OPEN_STREAM}'`);
  });
});

function codeOf(service: string): string {
  const folder = join(SERVICES, service);
  const files = readdirSync(folder).filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'));
  return files.map((file) => readFileSync(join(folder, file), 'utf8')).join('\n');
}
