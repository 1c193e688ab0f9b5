import { isPromise } from 'node:util/types';
import { SpanKind, type Attributes } from '@opentelemetry/api';
import { Histogram, type Registry } from 'prom-client';
import { systemClock, type Clock } from '#core/clock.ts';
import type { BoundPorts, PortName } from '#core/ports/tokens.ts';
import { errorTypeOf } from './error-type.ts';
import type { Tracing } from './tracing.ts';

export interface PortObservation {
  readonly metrics: Registry;
  readonly tracing: Pick<Tracing, 'callSpan'>;
  readonly clock?: Pick<Clock, 'monotonicMs'>;
}

/** What is measured, the names of its attributes being OpenTelemetry's where there are any. */
export interface ObservedPart {
  readonly port: PortName;
  /** As its folder is called: `s3-object-store`. */
  readonly adapter: string;
  /** Methods that wait by design or are measured elsewhere. */
  readonly unmeasured?: readonly string[];
}

/** The port as a provider bound it, with what a site watches its adapter by: how long each call takes, what fails, and a span in a recorded trace. */
export function observedBinding<Name extends PortName>(
  port: Name,
  bound: BoundPorts[Name],
  observation: PortObservation,
): BoundPorts[Name] {
  const observe: Observe = (part, { of = part, unmeasured = [] } = {}) =>
    observedPort(part, { port, adapter: adapterOf(of), unmeasured }, observation);
  const special = SPECIAL[port] as ((bound: BoundPorts[Name], observe: Observe) => BoundPorts[Name]) | undefined;
  return special ? special(bound, observe) : observe(bound);
}

type Observe = <Part extends object>(
  part: Part,
  how?: { readonly of?: object; readonly unmeasured?: readonly string[] },
) => Part;

const SPECIAL: { readonly [Name in PortName]?: (bound: BoundPorts[Name], observe: Observe) => BoundPorts[Name] } = {
  clock: (clock) => clock,
  deviceGateway: (make, observe) => (hooks) => observe(make(hooks)),
  // Events are counted and timed where a service uses the stream: observed-stream.ts.
  eventStream: (stream, observe) => observe(stream, { unmeasured: ['publish', 'subscribe'] }),
  // What is asked again and again is the model that was loaded.
  modelInference: (inference, observe) => {
    const observed = observe(inference);
    return {
      load: async (...given) => observe(await observed.load(...given), { of: inference }),
      close: () => observed.close(),
    };
  },
  // These are asked of memory, the first by every request.
  tokenIssuer: (issuer, observe) =>
    observe(issuer, { unmeasured: ['isRevoked', 'publicKeys', 'problem', 'onProblem'] }),
  identityVerifiers: (verifiers, observe) => verifiers.map((each) => observe(each)),
  notifiers: (notifiers, observe) => notifiers.map((each) => observe(each)),
};

/** Not calls of the service behind the port. */
const NEVER_MEASURED: readonly string[] = ['close', 'constructor', 'onChange'];

/** The part with all it has; each of its methods that gives a promise is measured. */
export function observedPort<Part extends object>(part: Part, what: ObservedPart, observation: PortObservation): Part {
  const unmeasured = new Set([...NEVER_MEASURED, ...(what.unmeasured ?? [])]);
  const measure = measurer(what, observation);
  const methods = new Map<string, unknown>();
  return new Proxy(part, {
    // Private fields are the target's alone, and so everything runs on it.
    get: (target, property) => {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function' || property === 'constructor') return value;
      if (typeof property === 'symbol') return value.bind(target) as unknown;
      const known = methods.get(property);
      if (known) return known;
      const call = (...given: unknown[]): unknown =>
        (Reflect.get(target, property, target) as (...given: unknown[]) => unknown).apply(target, given);
      const method = unmeasured.has(property) ? call : measure(property, call);
      methods.set(property, method);
      return method;
    },
  });
}

type Call = (...given: unknown[]) => unknown;

function measurer(
  { port, adapter }: ObservedPart,
  { metrics, tracing, clock = systemClock }: PortObservation,
): (method: string, call: Call) => Call {
  const histograms = histogramsOf(metrics);
  const system = DATABASES[adapter.split('-', 1)[0] ?? ''];
  return (method, call) => {
    const labels = system
      ? { db_system_name: system, db_operation_name: method, tribo_port: port }
      : { tribo_port: port, tribo_method: method, tribo_adapter: adapter };
    const attributes: Attributes = system
      ? { 'db.system.name': system, 'db.operation.name': method, 'tribo.port': port }
      : { 'tribo.port': port, 'tribo.method': method, 'tribo.adapter': adapter };
    const histogram: Histogram = system ? histograms.database : histograms.other;
    const span = { kind: SpanKind.CLIENT, attributes };
    const name = `${method} ${port}`;
    return (...given) => {
      const startedMs = clock.monotonicMs();
      const result = tracing.callSpan(name, span, () => call(...given));
      if (!isPromise(result)) return result;
      const observe = (failure?: { readonly error_type: string }): void =>
        histogram.observe(failure ? { ...labels, ...failure } : labels, (clock.monotonicMs() - startedMs) / 1000);
      return result.then(
        (value: unknown) => {
          observe();
          return value;
        },
        (error: unknown) => {
          observe({ error_type: errorTypeOf(error) });
          throw error;
        },
      );
    };
  };
}

/** OpenTelemetry's `db.system.name` by the first word of an adapter's name. */
const DATABASES: Readonly<Record<string, string>> = {
  duckdb: 'duckdb',
  dynamodb: 'aws.dynamodb',
  postgres: 'postgresql',
  sqlite: 'sqlite',
};

/** The name of the adapter's folder, which is its class's: `S3ObjectStore` is in `s3-object-store`. */
export function adapterOf(part: object): string {
  const words = part.constructor.name.replace('DuckDb', 'Duckdb').replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, '-');
  return words.toLowerCase();
}

interface CallHistograms {
  readonly database: Histogram<'db_system_name' | 'db_operation_name' | 'tribo_port' | 'error_type'>;
  readonly other: Histogram<'tribo_port' | 'tribo_method' | 'tribo_adapter' | 'error_type'>;
}

/** In seconds, as https://opentelemetry.io/docs/specs/semconv/db/database-metrics/ advises. */
const CALL_BUCKETS_S = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];

/** All ports of a process share them. */
const known = new WeakMap<Registry, CallHistograms>();

function histogramsOf(registry: Registry): CallHistograms {
  const histograms = known.get(registry) ?? makeHistograms(registry);
  known.set(registry, histograms);
  return histograms;
}

function makeHistograms(registry: Registry): CallHistograms {
  const shared = { buckets: CALL_BUCKETS_S, registers: [registry] };
  return {
    database: new Histogram({
      name: 'db_client_operation_duration_seconds',
      help: 'Calls of the ports that are databases, by method; error_type is the code of what failed',
      labelNames: ['db_system_name', 'db_operation_name', 'tribo_port', 'error_type'],
      ...shared,
    }),
    other: new Histogram({
      name: 'tribo_port_call_duration_seconds',
      help: 'Calls of the ports that are no databases, by method; error_type is the code of what failed',
      labelNames: ['tribo_port', 'tribo_method', 'tribo_adapter', 'error_type'],
      ...shared,
    }),
  };
}
