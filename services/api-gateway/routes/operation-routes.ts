import type { Addresses } from '../../shared/config/addresses.ts';
import { HttpProblem } from '../../shared/http/problem.ts';
import type { ReadinessReport } from '../../shared/http/readiness.ts';
import { route, type Route } from '../http/route.ts';
import { documentSchema, livenessSchema, readinessSchema } from '../schemas/operation.ts';

const TAG = 'Operation';

/** What monitors, browsers and client generators read without being signed in. None of it holds data of a tenant. */
export function operationRoutes(documents: {
  readonly openapi: () => object;
  readonly asyncapi: (addresses: Addresses) => object;
}): readonly Route[] {
  return [
    route({
      method: 'GET',
      path: '/health/live',
      tag: TAG,
      summary: 'Whether the process runs.',
      access: 'public',
      response: { status: 200, description: 'It does', schema: livenessSchema },
      handle: async () => ({ json: { status: 'alive' } }),
    }),
    route({
      method: 'GET',
      path: '/health/ready',
      tag: TAG,
      summary:
        'Whether the platform can do its work; 503 with the parts that cannot, and to whoever is signed in also why.',
      access: 'public',
      response: { status: 200, description: 'It can', schema: readinessSchema },
      handle: async ({ reauthenticate }, { readiness }) => {
        const report = await readiness.report();
        const isTold = report.checks.every((check) => check.reason === undefined) || (await isSignedIn(reauthenticate));
        return { json: isTold ? report : withoutReasons(report), status: report.status === 'ready' ? 200 : 503 };
      },
    }),
    route({
      method: 'GET',
      path: '/metrics',
      tag: TAG,
      summary: 'Metrics for Prometheus.',
      access: 'public',
      response: { status: 200, description: 'Text exposition format', alternatives: ['text/plain'] },
      handle: async (_call, { metrics }) => ({ bytes: await metrics.metrics(), type: metrics.contentType }),
    }),
    route({
      method: 'GET',
      path: '/openapi.json',
      tag: TAG,
      summary: 'This API, as OpenAPI 3.1.',
      access: 'public',
      response: { status: 200, description: 'The document', schema: documentSchema },
      handle: async () => ({ json: documents.openapi() }),
    }),
    route({
      method: 'GET',
      path: '/asyncapi.json',
      tag: TAG,
      summary: 'MQTT topics and the event stream, as AsyncAPI 3.',
      access: 'public',
      response: { status: 200, description: 'The document', schema: documentSchema },
      handle: async ({ baseUrl }, { config }) => ({
        json: documents.asyncapi({ url: baseUrl, mqttUrl: config.mqttUrl }),
      }),
    }),
    ...['/.well-known/openid-configuration', '/.well-known/jwks.json'].map((path) =>
      route({
        method: 'GET',
        path,
        tag: TAG,
        summary: 'What the embedded identity issuer publishes.',
        access: 'public',
        response: { status: 200, description: 'The document', schema: documentSchema },
        handle: async ({ baseUrl }, { issuerDocument }) => {
          const document = issuerDocument?.(path, baseUrl);
          if (document) return { json: document };
          throw new HttpProblem('not-found', {
            detail: 'This site has no issuer of its own.',
            remedy: 'Ask its identity provider.',
          });
        },
      }),
    ),
  ];
}

function isSignedIn(authenticate: () => Promise<unknown>): Promise<boolean> {
  return authenticate().then(
    () => true,
    () => false,
  );
}

/** Reasons are errors as they came: they may name files, addresses and machines. */
function withoutReasons({ status, checks }: ReadinessReport): ReadinessReport {
  const said = (ok: boolean) => `${ok ? 'calls for attention' : 'not ready'}; who is signed in is told why`;
  return { status, checks: checks.map(({ name, ok, reason }) => ({ name, ok, ...(reason && { reason: said(ok) }) })) };
}
