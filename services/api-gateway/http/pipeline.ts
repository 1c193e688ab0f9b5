import type { Request, RequestHandler, Response } from 'express';
import { Histogram, type Registry } from 'prom-client';
import { z } from 'zod';
import { mayAct } from '#core/domain/role.ts';
import { codeOf } from '#core/errors.ts';
import { HttpProblem, problemBody, problemOf } from '../../shared/http/problem.ts';
import type { Problem } from '../../shared/http/problem-types.ts';
import { DURATION_BUCKETS_S } from '../../shared/observability/metrics.ts';
import { activeSpanContext, parseTraceparent, traceparentOf } from '../../shared/observability/trace-context.ts';
import { auditedChange } from '../audit/audited-changes.ts';
import type { Principal } from '../access/principal.ts';
import type { GatewayServices } from '../services.ts';
import type { HeldBody } from './body-budget.ts';
import { contentTypeOf, discardRest, parseJson, readBytes } from './body.ts';
import { isRemembered, type BytesBody, type Call, type Reply, type Route } from './route.ts';
import { validated } from './validation.ts';

/** Answers hold a tenant's data, secrets that are shown once, and other forms by Accept. */
const NOT_KEPT = 'no-store';
const NO_BODY = Buffer.alloc(0);
const EMPTY_OBJECT = Buffer.from('{}');

/** Applies to every route what all of them share, in this order: who, may they, how often, what exactly, only once. */
export class Pipeline {
  readonly #services: GatewayServices;
  readonly #baseUrl: () => string;
  readonly #duration: Histogram<'method' | 'route' | 'status'>;

  constructor(services: GatewayServices, baseUrl: () => string) {
    this.#services = services;
    this.#baseUrl = baseUrl;
    this.#duration = requestDuration(services.metrics);
  }

  handlerOf(route: Route): RequestHandler {
    const checked = strict(route);
    const spanName = `${route.method} ${route.path}`;
    return async (request, response) => {
      const startedMs = performance.now();
      response.on('finish', () => {
        const labels = { method: route.method, route: route.path, status: String(response.statusCode) };
        this.#duration.observe(labels, (performance.now() - startedMs) / 1000);
      });
      const parent = parseTraceparent(request.header('traceparent'));
      const attributes = { 'http.request.method': route.method, 'http.route': route.path };
      await this.#services.tracing.span(spanName, { parent, attributes }, async () => {
        try {
          this.#send(response, route, await this.#answer(checked, request, response));
        } catch (error) {
          this.sendProblem(request, response, error, route.problemPage);
        }
      });
    };
  }

  /** Answers with problem details, or sends to the page that tells them; what went wrong inside is told to the log alone. */
  sendProblem(request: Request, response: Response, error: unknown, page?: string): void {
    // A client that left, as a page does that goes elsewhere, is nobody's fault.
    if (response.destroyed && codeOf(error) === 'cancelled') return;
    const problem = problemOf(error);
    if (problem.status >= 500) {
      const { cause } = problem;
      this.#services.logger.error(
        { err: cause ?? problem, method: request.method, path: request.path },
        problem.message,
      );
    }
    if (response.headersSent) {
      response.destroy();
      return;
    }
    if (page !== undefined) {
      this.#redirect(response, `${page}?problem=${problem.type}`);
      return;
    }
    const body = problemBody(problem, activeSpanContext()?.traceId);
    void discardRest(request).then((isRead) => {
      // What was not read of the body would be taken for the next request.
      if (!isRead) response.setHeader('connection', 'close');
      sendProblemBody(response, problem, body);
    });
  }

  async #answer(route: Route, request: Request, response: Response): Promise<Reply> {
    const principal = route.access === 'public' ? undefined : await this.#admit(route, request);
    if (route.allowance === 'sign-in') await this.#services.rateLimits.failed(`sign-in ${addressOf(request)}`);
    // Held until the call is done: what is parsed of a body lives as long.
    using held = this.#services.bodies.hold(principal?.tenant ?? '');
    const bytes = await this.#readBody(route, request, principal, held);
    const call: Call = {
      ...this.#inputs(route, request, bytes),
      get principal() {
        if (principal) return principal;
        throw new HttpProblem('unauthenticated', { detail: 'Nobody is signed in.', remedy: 'Sign in.' });
      },
      reauthenticate: () => this.#services.authenticator.authenticate(request, { devices: route.devices === true }),
      signal: abortedWith(response),
      idempotencyKey: request.header('idempotency-key'),
      traceparent: traceparentOf(activeSpanContext()),
      baseUrl: this.#baseUrl(),
      header: (name) => request.header(name),
      accepts: (types) => accepted(request, types),
    };
    const change = auditedChange(route);
    const handle = () => route.handle(call, this.#services);
    const work = change ? () => this.#services.auditor.record(change, call, principal, this.#services, handle) : handle;
    const { idempotencyKey: key } = call;
    if (key === undefined || !isRemembered(route) || !principal) return await work();
    const target = `${request.method} ${request.originalUrl} ${request.header('if-match') ?? ''}`;
    return await this.#services.idempotency.once({ key, principal, target, body: bytes }, work);
  }

  async #readBody(route: Route, request: Request, principal: Principal | undefined, held: HeldBody): Promise<Buffer> {
    if (!route.body) return NO_BODY;
    try {
      return await readBody(request, route.body, held);
    } catch (error) {
      const isTurnedAway = error instanceof HttpProblem && error.type === 'overloaded';
      if (isTurnedAway && principal && route.allowance === 'telemetry') this.#services.ledger.refused(principal.tenant);
      throw error;
    }
  }

  async #admit(route: Route, request: Request): Promise<Principal> {
    const { authenticator, rateLimits } = this.#services;
    const principal = await authenticator
      .authenticate(request, { devices: route.devices === true })
      .catch(async (error: unknown) => {
        if (error instanceof HttpProblem) await rateLimits.failed(addressOf(request));
        throw error;
      });
    this.#refuseForgedRequests(route, request, principal);
    if (route.access !== 'public' && !mayAct(principal.roles, route.access)) {
      if (route.allowance === 'telemetry') this.#services.ledger.refused(principal.tenant);
      throw new HttpProblem('forbidden', {
        detail: `This needs the role ${route.access}; the caller has ${principal.roles.join(', ')}.`,
        remedy: 'Use a token with that role, or ask an admin for one.',
      });
    }
    await rateLimits
      .consume(route.allowance === 'telemetry' ? 'telemetry' : 'api', principal)
      .catch((error: unknown) => {
        if (route.allowance === 'telemetry') this.#services.ledger.refused(principal.tenant);
        throw error;
      });
    return principal;
  }

  /** A browser sends the session's cookie by itself; only our own page knows the token. */
  #refuseForgedRequests(route: Route, request: Request, principal: Principal): void {
    if (principal.kind !== 'session' || route.method === 'GET') return;
    if (this.#services.sessions.isCsrfToken(principal, request.header('x-csrf-token'))) return;
    throw new HttpProblem('csrf-token-missing', {
      detail: 'A write in a session needs its CSRF token.',
      pointer: 'header:x-csrf-token',
      remedy: 'Send csrfToken of GET /v1/session as X-CSRF-Token.',
    });
  }

  #inputs(
    { params, query, body }: Route,
    request: Request,
    bytes: Buffer,
  ): Pick<Call, 'params' | 'query' | 'body' | 'rawQuery'> {
    return {
      params: params && validated(params, request.params, 'path'),
      query: query ? validated(query, request.query, 'query') : undefined,
      rawQuery: request.query as Readonly<Record<string, string>>,
      body: body && bodyOf(body, request, bytes),
    };
  }

  #send(response: Response, route: Route, reply: Reply): void {
    response.setHeader('cache-control', NOT_KEPT);
    for (const [name, value] of Object.entries(reply.headers ?? {})) response.setHeader(name, value);
    response.status(reply.status ?? ('empty' in reply ? 204 : route.response.status));
    // A stream would hold its place for ever, and whatever comes after HEAD on the connection.
    if ('empty' in reply || ('stream' in reply && response.req.method === 'HEAD')) response.end();
    else if ('stream' in reply) reply.stream(response);
    else if ('json' in reply) this.#sendJson(response, route, reply.json);
    else {
      const bytes = typeof reply.bytes === 'string' ? Buffer.from(reply.bytes) : reply.bytes;
      response.setHeader('content-type', reply.type);
      response.setHeader('content-length', bytes.byteLength);
      response.end(bytes);
    }
  }

  #redirect(response: Response, location: string): void {
    response.setHeader('cache-control', NOT_KEPT);
    response.setHeader('location', location);
    response.status(303).end();
  }

  #sendJson(response: Response, { response: { schema } }: Route, json: unknown): void {
    if (this.#services.config.checkResponses && schema) checkAgainst(schema, json);
    const bytes = Buffer.from(JSON.stringify(json));
    response.setHeader('content-type', 'application/json; charset=utf-8');
    response.setHeader('content-length', bytes.byteLength);
    response.end(bytes);
  }
}

function sendProblemBody(response: Response, problem: HttpProblem, body: Problem): void {
  if (body.retryAfterSeconds !== undefined) response.setHeader('retry-after', String(body.retryAfterSeconds));
  if (problem.type === 'unauthenticated') response.setHeader('www-authenticate', 'Bearer realm="tribo"');
  response.setHeader('cache-control', NOT_KEPT);
  response.status(problem.status).type('application/problem+json').send(JSON.stringify(body));
}

function requestDuration(registry: Registry): Histogram<'method' | 'route' | 'status'> {
  return new Histogram({
    name: 'http_server_request_duration_seconds',
    help: 'From a request to its answer sent',
    labelNames: ['method', 'route', 'status'],
    buckets: [...DURATION_BUCKETS_S],
    registers: [registry],
  });
}

/** A misspelt parameter is told and not passed over, unless the schema says itself what becomes of others. */
function strict(route: Route): Route {
  const query = route.query ?? z.object({});
  return { ...route, query: query.def.catchall ? query : query.strict() };
}

async function readBody(request: Request, body: NonNullable<Route['body']>, held: HeldBody): Promise<Buffer> {
  const types = body.kind === 'json' ? ['application/json'] : Object.keys(body.types);
  const type = contentTypeOf(request);
  const hasBody = request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined;
  const isAbsent = !hasBody || request.headers['content-length'] === '0';
  if (isAbsent && body.kind === 'json' && body.optional === true) return EMPTY_OBJECT;
  if (!types.includes(type)) {
    throw new HttpProblem('unsupported-media-type', {
      detail:
        type === '' ? 'The request has no content type.' : `The content type ${type.slice(0, 100)} is not taken here.`,
      pointer: 'header:content-type',
      remedy: `Send ${types.join(' or ')}.`,
    });
  }
  return readBytes(request, body.maxBytes, held);
}

function bodyOf(body: NonNullable<Route['body']>, request: Request, bytes: Buffer): unknown {
  if (body.kind === 'json') return validated(body.schema, parseJson(bytes), 'body');
  return { type: contentTypeOf(request), bytes } satisfies BytesBody;
}

/** Aborted when the client is gone before it was answered. */
function abortedWith(response: Response): AbortSignal {
  const controller = new AbortController();
  response.on('close', () => {
    if (!response.writableFinished) controller.abort();
  });
  return controller.signal;
}

function accepted(request: Request, types: readonly string[]): string {
  const type = request.accepts([...types]);
  if (type !== false && !Array.isArray(type)) return type;
  throw new HttpProblem('not-acceptable', {
    detail: 'None of the content types that the client accepts can be made here.',
    pointer: 'header:accept',
    remedy: `Accept one of ${types.join(', ')}.`,
  });
}

function addressOf(request: Request): string {
  return request.socket.remoteAddress ?? 'unknown';
}

function checkAgainst(schema: z.ZodType, json: unknown): void {
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw new Error(`the answer does not fit its schema: ${z.prettifyError(parsed.error)}`);
}
