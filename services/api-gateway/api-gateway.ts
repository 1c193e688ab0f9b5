import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { AlarmFigureReader } from '#core/alerting/alarm-figure-reader.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import { requireSafeListening } from '../shared/config/safe-listening.ts';
import { KnownHosts } from '../shared/http/known-hosts.ts';
import { Readiness } from '../shared/http/readiness.ts';
import type { TlsTexts } from '../shared/tls/certificates.ts';
import { observeStreamLag } from '../shared/observability/stream-lag.ts';
import { Auditor } from './audit/auditor.ts';
import { Authenticator } from './access/authenticator.ts';
import { CookieSeal } from './access/cookie-seal.ts';
import { sessionCookieName } from './access/session-cookie.ts';
import { Sessions } from './access/sessions.ts';
import { SignInAttempts } from './access/sign-in-attempts.ts';
import { SignInCodes } from './access/sign-in-codes.ts';
import { apiGatewayConfigSchema, KEEP_ALIVE_MS, type ApiGatewayConfig, type ApiGatewaySettings } from './config.ts';
import { DeadLetterDesk } from './dead-letter-desk.ts';
import { EventHub } from './events/event-hub.ts';
import { FleetSummary } from './fleet/fleet-summary.ts';
import { createApp } from './http/app.ts';
import { BodyBudget } from './http/body-budget.ts';
import { answerClientErrors } from './http/client-errors.ts';
import { IdempotencyStore } from './http/idempotency.ts';
import { RateLimits } from './http/rate-limits.ts';
import { LedgerReader } from './ledger-reader.ts';
import { signInUrl } from './routes/access-routes.ts';
import { routeTable } from './routes/route-table.ts';
import type { ApiGatewayDependencies, GatewayServices } from './services.ts';

export interface ApiGateway {
  /** Where it listens, as an address to connect to. */
  readonly url: string;
  /** A one-time link for the first administrator of the configured tenant; each call makes a new one. */
  signInLink(): Promise<string>;
  /** Answers what is under way, tells listeners that it stops, and closes; what is not done within five seconds is cut off. Idempotent. */
  close(): Promise<void>;
}

const CLOSE_WITHIN_MS = 5000;
/** How often it is looked for requests that have not come whole in time. */
const LOOK_EVERY_MS = 5000;

/**
 * Starts the HTTP API and the page.
 * @throws PortError failed_precondition when the port is taken, or off loopback without TLS; and those of the stores.
 */
export async function startApiGateway(
  settings: ApiGatewaySettings,
  dependencies: ApiGatewayDependencies,
): Promise<ApiGateway> {
  const config = apiGatewayConfigSchema.parse(settings);
  requireSafeListening(config);
  const services = await gatewayServices(config, dependencies);
  const { auditor, fleet, events, ledger, readiness, sessions, signInCodes } = services;
  let url = '';
  const baseUrl = () => config.publicUrl ?? url;
  const app = createApp(routeTable(config), services, { baseUrl, hosts: knownHosts(config, dependencies) });
  const server = config.tls
    ? secureServer(config.tls, timeouts(config), app, dependencies)
    : createServer(timeouts(config), app);
  limit(server, config);
  answerClientErrors(server, config);
  try {
    await auditor.start();
    await fleet.start();
    events.start();
    ledger.start();
    url = await listen(server, config);
  } catch (error) {
    ledger.stop();
    auditor.stop();
    sessions.close();
    await Promise.all([events.close(), fleet.close()]);
    throw error;
  }
  let closing: Promise<void> | undefined;
  const close = async () => {
    readiness.stopping();
    ledger.stop();
    auditor.stop();
    await events.close();
    await closeServer(server);
    sessions.close();
    await fleet.close();
  };
  return {
    url,
    signInLink: async () => {
      const { code } = await signInCodes.issue({
        subject: 'admin',
        tenant: config.tenant as TenantId,
        roles: ['admin'],
      });
      return signInUrl(baseUrl(), code);
    },
    close: () => (closing ??= close()),
  };
}

function knownHosts(
  { publicUrl, hostNames, tls }: ApiGatewayConfig,
  { onTlsRenewal }: ApiGatewayDependencies,
): KnownHosts {
  let certificate = tls?.cert;
  onTlsRenewal?.((renewed) => (certificate = renewed.cert));
  const ofPublicUrl = publicUrl === undefined ? [] : [new URL(publicUrl).hostname];
  return new KnownHosts({ names: [...hostNames, ...ofPublicUrl], certificate: () => certificate });
}

function secureServer(
  tls: TlsTexts,
  options: ServerOptions,
  app: RequestListener,
  { onTlsRenewal }: ApiGatewayDependencies,
): Server {
  const server = createTlsServer({ ...tls, ...options }, app);
  onTlsRenewal?.((renewed) => server.setSecureContext(renewed));
  return server;
}

async function gatewayServices(
  config: ApiGatewayConfig,
  dependencies: ApiGatewayDependencies,
): Promise<GatewayServices> {
  const { clock, logger, metrics, verifier, devices, store, stream, refused, intake } = dependencies;
  const onProblem = (what: string, error: unknown) => {
    logger.warn({ err: error }, `${what} failed`);
  };
  const seal = await CookieSeal.open(dependencies, { onProblem });
  const sessions = await Sessions.open(dependencies, seal, clock, { lifetimeMs: config.sessionLifetimeMs, onProblem });
  const { sampleEveryMs: pulseMs, ...eventOptions } = config.events;
  const fleet = new FleetSummary({ ...dependencies, staleAfterMs: config.staleAfterMs, pulseMs, onProblem });
  observeStreamLag(stream, metrics);
  const ledger = new LedgerReader({ store, stream, clock, ...(refused && { refused }), onProblem });
  return {
    ...dependencies,
    tracing: dependencies.tracing.as('api-gateway'),
    config,
    sessions,
    authenticator: new Authenticator({ verifier, devices, sessions, cookieName: sessionCookieName(config) }),
    signInCodes: new SignInCodes(dependencies.checkpoints, clock),
    signInAttempts: new SignInAttempts(seal, clock),
    signInIssuers: dependencies.signInIssuers ?? [],
    fleet,
    ledger,
    deadLetters: new DeadLetterDesk(dependencies, clock),
    auditor: new Auditor(dependencies.auditTrail, clock, { keepMs: config.auditMs, onProblem }),
    alarmFigures: new AlarmFigureReader(dependencies.alarms, clock),
    events: new EventHub({ clock, alarms: dependencies.alarms, fleet, ledger, metrics, onProblem }, eventOptions),
    readiness: new Readiness(
      {
        intake: () => (intake.isReady() ? undefined : 'it takes no more for now; what waits is being worked off'),
        'time-series-store': async () => {
          await store.lostEvents();
          return undefined;
        },
        ...dependencies.checks,
      },
      clock,
      { ledger: () => lossIn(store), ...dependencies.attention },
    ),
    bodies: new BodyBudget(config.maxBodyBytesHeld),
    idempotency: new IdempotencyStore(clock),
    rateLimits: new RateLimits(config.rateLimits),
  };
}

async function lossIn(store: GatewayServices['store']): Promise<string | undefined> {
  const lost = await store.lostEvents();
  if (lost.length === 0) return undefined;
  const missing = lost.map(({ stream, events }) => `${events} of ${stream}`).join(', ');
  return `events were published and never came to be settled: ${missing}; this is a defect, please report it`;
}

function timeouts({ headersWithinMs, requestWithinMs }: ApiGatewayConfig): ServerOptions {
  return {
    headersTimeout: headersWithinMs,
    requestTimeout: requestWithinMs,
    connectionsCheckingInterval: Math.min(LOOK_EVERY_MS, headersWithinMs),
    keepAliveTimeout: KEEP_ALIVE_MS,
  };
}

function limit(server: Server, { maxConnections }: ApiGatewayConfig): void {
  server.maxConnections = maxConnections;
  server.maxHeadersCount = 100;
}

async function listen(server: Server, { host, port, tls, linkHost = host }: ApiGatewayConfig): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  }).catch((error: unknown) => {
    throw listenError(error, host, port);
  });
  const shown = linkHost.includes(':') ? `[${linkHost}]` : linkHost;
  return `${tls ? 'https' : 'http'}://${shown}:${(server.address() as AddressInfo).port}`;
}

function listenError(error: unknown, host: string, port: number): PortError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const reason = code === 'EADDRINUSE' ? 'is taken by another program' : `cannot be listened on (${String(code)})`;
  return new PortError(
    'failed_precondition',
    `HTTP port ${port} on ${host} ${reason}: stop that program, or set TRIBO_HTTP_PORT (--http-port) to another port`,
    { cause: error },
  );
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const overdue = setTimeout(() => server.closeAllConnections(), CLOSE_WITHIN_MS);
    server.close(() => {
      clearTimeout(overdue);
      resolve();
    });
    server.closeIdleConnections();
  });
}
