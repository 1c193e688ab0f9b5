import type { z } from 'zod';
import { problemSchema } from '../../shared/http/problem-types.ts';
import { isRemembered, type Route } from '../http/route.ts';
import { ComponentSchemas } from './json-schemas.ts';

/** The API as OpenAPI 3.1, made of the table that it is served from. */
export function openApiDocument(routes: readonly Route[]): object {
  const schemas = new ComponentSchemas('#/components/schemas/');
  const problem = schemas.output(problemSchema);
  const responses = new Map(routes.map((route) => [route, responsesOf(route, schemas)]));
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    (paths[route.path] ??= {})[route.method.toLowerCase()] = operationOf(route, responses.get(route)!, schemas);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tribo',
      version: '1',
      summary: 'Predictive maintenance for rotating machines',
      description:
        'The tenant is that of the caller’s signed token. Instants are milliseconds since 1970. Lists are paged by `cursor`. Writes take ' +
        '`Idempotency-Key`, telemetry and waveforms an id of each message instead. Errors are problem details (RFC 9457) with a stable `type`, the offending `pointer` and a `remedy`.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths,
    components: {
      schemas: schemas.all(),
      responses: {
        Problem: {
          description: 'Why not, and what to do',
          headers: { 'Retry-After': { description: 'Seconds to wait, with 429 and 503', schema: { type: 'integer' } } },
          content: { 'application/problem+json': { schema: problem } },
        },
      },
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'A token of the site’s OIDC issuer',
        },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: 'tribo_session',
          description: 'The page; writes also send X-CSRF-Token',
        },
        device: { type: 'http', scheme: 'basic', description: 'A device’s id and secret' },
      },
    },
  };
}

function operationOf(route: Route, responses: object, schemas: ComponentSchemas): object {
  const parameters = [
    ...parametersOf(route.params, 'path', schemas),
    ...parametersOf(route.query, 'query', schemas),
    ...headersOf(route),
  ];
  return {
    operationId: operationId(route),
    tags: [route.tag],
    summary: route.summary,
    ...(route.access !== 'public' && { description: `Needs the role ${route.access}.`, 'x-tribo-role': route.access }),
    security: securityOf(route),
    ...(parameters.length > 0 && { parameters }),
    ...(route.body && { requestBody: requestBodyOf(route.body, schemas) }),
    responses,
  };
}

/** `GET /v1/machines/{machine}/series` is `getMachinesMachineSeries`. */
export function operationId({ method, path }: Pick<Route, 'method' | 'path'>): string {
  const words = path.replace(/^\/v1\//, '').split(/[^A-Za-z0-9]+/);
  const name = words.filter((word) => word !== '').map((word) => word[0]!.toUpperCase() + word.slice(1));
  return method.toLowerCase() + name.join('');
}

function securityOf({ access, devices }: Route): object[] {
  if (access === 'public') return [];
  return [{ bearer: [] }, { session: [] }, ...(devices === true ? [{ device: [] }] : [])];
}

function parametersOf(schema: z.ZodObject | undefined, place: 'path' | 'query', schemas: ComponentSchemas): object[] {
  if (!schema) return [];
  return Object.entries(schema.shape).map(([name, field]) => {
    const { description, examples: _examples, ...json } = schemas.input(field as z.ZodType);
    const required = place === 'path' || !(field as z.ZodType).safeParse(undefined).success;
    return { name, in: place, required, ...(typeof description === 'string' && { description }), schema: json };
  });
}

function headersOf(route: Route): object[] {
  const header = (name: string, description: string) => ({
    name,
    in: 'header',
    required: false,
    description,
    schema: { type: 'string' },
  });
  if (!isRemembered(route)) return [];
  return [
    header(
      'Idempotency-Key',
      'The same key with the same request is carried out once by a copy of the API; where several run, another that it reaches carries it out, too',
    ),
    ...(route.response.etag === true ? [header('If-Match', 'The ETag of what is to be changed')] : []),
  ];
}

function requestBodyOf(body: NonNullable<Route['body']>, schemas: ComponentSchemas): object {
  const types = body.kind === 'json' ? { 'application/json': body.schema } : body.types;
  const content = Object.entries(types).map(([type, schema]) => [type, { schema: schemas.input(schema) }]);
  return {
    required: !(body.kind === 'json' && body.optional === true),
    description: `At most ${body.maxBytes} bytes`,
    content: Object.fromEntries(content) as object,
  };
}

function responsesOf({ response, access }: Route, schemas: ComponentSchemas): object {
  const { status, description, schema, alternatives = [], etag } = response;
  const content = {
    ...(schema && { 'application/json': { schema: schemas.output(schema) } }),
    ...Object.fromEntries(alternatives.map((type) => [type, {}])),
  };
  const problem = { $ref: '#/components/responses/Problem' };
  return {
    [status]: {
      description,
      ...(etag === true && { headers: { ETag: { schema: { type: 'string' } } } }),
      ...(Object.keys(content).length > 0 && { content }),
    },
    ...(access !== 'public' && { 401: problem, 403: problem }),
    default: problem,
  };
}
