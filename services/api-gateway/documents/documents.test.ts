import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { cloudEvent } from '#core/announcing/cloud-events.ts';
import { sampleActivation, sampleNotice } from '#core/contracts/sample-alarm.ts';
import type { Notice } from '#core/ports/alarm-journal.ts';
import { CLOUD_EVENTS } from '../schemas/cloud-events.ts';
import { apiGatewayConfigSchema } from '../config.ts';
import { routeTable } from '../routes/route-table.ts';
import { asyncApiDocument } from './asyncapi.ts';
import { generatedDocuments } from './generated-documents.ts';
import { openApiDocument, operationId } from './openapi.ts';

const routes = routeTable(apiGatewayConfigSchema.parse({}));
const documents = { openapi: openApiDocument(routes), asyncapi: asyncApiDocument() };

function referencesOf(document: object): readonly string[] {
  return [...JSON.stringify(document).matchAll(/"\$ref":"#([^"]+)"/g)].map(([, path]) => path!);
}

function at(document: object, path: string): unknown {
  return path
    .split('/')
    .slice(1)
    .reduce<unknown>((value, part) => (value as Record<string, unknown> | undefined)?.[part], document);
}

const PRESS = 'north/akron/press-7';

describe('generated documents', () => {
  it.each(Object.entries(generatedDocuments()))(
    '%s is what the schemas say now (else: node services/api-gateway/generate.ts)',
    (path, document) => {
      const kept: unknown = JSON.parse(readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8'));
      expect(kept).toEqual(JSON.parse(JSON.stringify(document)));
    },
  );

  it.each(Object.entries(documents))('%s refers to nothing that is not in it', (_name, document) => {
    const references = referencesOf(document);
    expect(references.length).toBeGreaterThan(10);
    for (const path of references) expect([path, at(document, path)]).toEqual([path, expect.anything()]);
  });

  it('describe every route, each with a name of its own', () => {
    const { paths } = documents.openapi as { paths: Record<string, Record<string, { operationId: string }>> };
    const names = routes.map((route) => paths[route.path]?.[route.method.toLowerCase()]?.operationId);
    expect(names).toEqual(routes.map(operationId));
    expect(new Set(names).size).toBe(routes.length);
  });

  it('name the role that a call needs', () => {
    expect(at(documents.openapi, '/paths')).toMatchObject({
      '/v1/rules/{id}': { put: { 'x-tribo-role': 'engineer', security: [{ bearer: [] }, { session: [] }] } },
      '/v1/telemetry': { post: { security: [{ bearer: [] }, { session: [] }, { device: [] }] } },
      '/health/live': { get: { security: [] } },
    });
  });

  it('describe topics and events with their payloads', () => {
    expect(documents.asyncapi).toMatchObject({
      asyncapi: '3.0.0',
      channels: {
        telemetry: { address: 'tribo/v1/{tenant}/{site}/{machine}/telemetry', parameters: { machine: {} } },
        events: { messages: { hello: {}, readings: {}, alarm: {}, ledger: {}, presence: {}, resync: {}, goodbye: {} } },
      },
      operations: {
        receiveTelemetry: { action: 'receive', bindings: { mqtt: { qos: 1 } } },
        sendEvents: { action: 'send' },
      },
    });
  });

  it.each([
    { kind: 'device', change: 'online', device: 'gw-1', machines: [PRESS], by: 'connection', sinceMs: 1 },
    { kind: 'device', change: 'offline', device: 'gw-1', machines: Array(101).fill(PRESS), by: 'restart', sinceMs: 1 },
    {
      ...{ kind: 'prediction', change: 'made', machine: PRESS, sensor: 'de', verdict: 'alarm', before: 'healthy' },
      ...{ predictionId: 'p-1', ts: 1, values: { 'de.anomaly_score': 4 }, threshold: 3, waveformId: 'w-1' },
      ...{ model: { name: 'm', version: 1, sha256: 'x' }, contributions: [{ feature: 'rms', z: 4, ratio: 2 }] },
    },
    sampleNotice(sampleActivation()),
  ])('describe the event that is posted, %#', (notice) => {
    const event = cloudEvent('n1', notice as Notice, 'https://tribo.example');
    const schema = Object.values(CLOUD_EVENTS).find(({ shape }) => shape.type.value === event.type);
    const sent: unknown = JSON.parse(JSON.stringify(event));
    // Parsing drops what a schema does not name.
    expect(schema?.parse(sent)).toEqual(sent);
  });

  it('describe no topic that nothing sends on, and none as retained', () => {
    expect(Object.keys(at(documents.asyncapi, '/channels') as object)).toEqual([
      'telemetry',
      'waveform',
      'status',
      'command',
      'events',
      'webhook',
    ]);
    expect(JSON.stringify(documents.asyncapi)).not.toMatch(/"retain":true|[Rr]etained/);
  });
});
