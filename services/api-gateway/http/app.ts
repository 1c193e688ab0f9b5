import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import express, { type ErrorRequestHandler, type Express } from 'express';
import helmet from 'helmet';
import type { KnownHosts } from '../../shared/http/known-hosts.ts';
import { HttpProblem } from '../../shared/http/problem.ts';
import type { ApiGatewayConfig } from '../config.ts';
import type { GatewayServices } from '../services.ts';
import { Pipeline } from './pipeline.ts';
import type { Route } from './route.ts';

/** How the gateway is known to those who ask. */
export interface GatewayNames {
  readonly baseUrl: () => string;
  readonly hosts: KnownHosts;
}

/** Longer than any name. */
const MAX_SHOWN = 253;

/** The express application: security headers, the routes of the table, the page, and problem details for everything else. */
export function createApp(
  routes: readonly Route[],
  services: GatewayServices,
  { baseUrl, hosts }: GatewayNames,
): Express {
  const app = express();
  const pipeline = new Pipeline(services, baseUrl);
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('case sensitive routing');
  app.enable('strict routing');
  app.set('query parser', 'simple');
  app.use(securityHeaders(services.config));
  app.use((request, response, next) => {
    const { host } = request.headers;
    if (hosts.has(host)) next();
    else pipeline.sendProblem(request, response, unknownHost(host));
  });
  for (const route of routes) {
    const path = expressPath(route.path);
    const handler = pipeline.handlerOf(route);
    if (route.method === 'GET') app.get(path, handler);
    else if (route.method === 'POST') app.post(path, handler);
    else if (route.method === 'PUT') app.put(path, handler);
    else app.delete(path, handler);
  }
  for (const [path, methods] of methodsByPath(routes)) {
    app.all(expressPath(path), (request, response) => {
      response.setHeader('allow', methods.join(', '));
      pipeline.sendProblem(request, response, methodNotAllowed(request.method, methods));
    });
  }
  servePage(app, services.config);
  app.use((request, response) => pipeline.sendProblem(request, response, noSuchPath()));
  const onError: ErrorRequestHandler = (error, request, response, _next) => {
    pipeline.sendProblem(request, response, requestProblem(error));
  };
  app.use(onError);
  return app;
}

/** `/v1/machines/{machine}` as express writes it. */
function expressPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1');
}

function securityHeaders({ publicUrl }: ApiGatewayConfig) {
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'", 'data:'],
        fontSrc: ["'self'"],
        connectSrc: ["'self'"],
        manifestSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
        objectSrc: ["'none'"],
      },
    },
    strictTransportSecurity: ownsHost(publicUrl) && { maxAge: 31_536_000 },
    referrerPolicy: { policy: 'no-referrer' },
    crossOriginResourcePolicy: { policy: 'same-origin' },
    xFrameOptions: { action: 'deny' },
  });
}

/** Browsers apply it to all ports of a host: on another port than HTTPS's own there may be others on the host, that speak plain HTTP. */
function ownsHost(publicUrl: string | undefined): boolean {
  return publicUrl?.startsWith('https:') === true && new URL(publicUrl).port === '';
}

/** The built page. Its assets carry a hash in their names and may be kept for ever, the page itself not at all. */
function servePage(app: Express, { staticFolder }: ApiGatewayConfig): void {
  if (staticFolder === undefined) return;
  const folder = resolve(staticFolder);
  const index = join(folder, 'index.html');
  if (!existsSync(index)) return;
  app.use('/assets', express.static(join(folder, 'assets'), { index: false, immutable: true, maxAge: '365d' }));
  app.get(['/', '/sign-in'], (_request, response) => {
    response.setHeader('cache-control', 'no-store');
    // The folder may lie below one whose name begins with a dot.
    response.sendFile(index, { dotfiles: 'allow', cacheControl: false });
  });
  app.use(express.static(folder, { index: false, maxAge: '1h' }));
}

function methodsByPath(routes: readonly Route[]): ReadonlyMap<string, readonly string[]> {
  const byPath = Map.groupBy(routes, (route) => route.path);
  return new Map(
    [...byPath].map(([path, some]) => [
      path,
      some.flatMap(({ method }) => (method === 'GET' ? [method, 'HEAD'] : [method])),
    ]),
  );
}

function methodNotAllowed(method: string, methods: readonly string[]): HttpProblem {
  return new HttpProblem('method-not-allowed', {
    detail: `${method.slice(0, 20)} is not allowed here.`,
    remedy: `Use ${methods.join(' or ')}.`,
  });
}

function unknownHost(host = ''): HttpProblem {
  return new HttpProblem('misdirected-request', {
    detail: `This server is not known by the name ${JSON.stringify(host.slice(0, MAX_SHOWN))}.`,
    remedy: `Ask by an address or a name of its own, or have its operator set TRIBO_PUBLIC_URL, or TRIBO_HOST_NAMES (--host-names), to that name.`,
    pointer: 'header:host',
  });
}

function noSuchPath(): HttpProblem {
  return new HttpProblem('not-found', {
    detail: 'There is nothing at this path.',
    remedy: '/openapi.json lists the paths.',
  });
}

/** What express itself refuses: a path that cannot be decoded. */
function requestProblem(error: unknown): unknown {
  if (!(error instanceof URIError)) return error;
  return new HttpProblem('invalid-request', {
    detail: 'The path holds an escape that cannot be read.',
    remedy: 'Escape it as RFC 3986 says, in UTF-8.',
  });
}
