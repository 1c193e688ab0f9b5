import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { InMemorySpanExporter } from '@opentelemetry/sdk-trace-base';
import type { Registry } from 'prom-client';
import { PortError } from '#core/errors.ts';
import type { MeasuredStream } from '#core/ports/event-stream.ts';
import type { BoundPorts } from '#core/ports/tokens.ts';
import { createMetricsRegistry } from './metrics.ts';
import { observedBinding, observedPort } from './observed-port.ts';
import { Tracing } from './tracing.ts';

/** Of a port the methods that resolve, of which each is one call of what is behind it. */
type CallsOf<Port> = {
  [
    Name in keyof Port as Port[Name] extends (...given: never[]) => Promise<unknown> ? Exclude<Name, 'close'> : never
  ]: true;
};

/** Every call of every port: a new one that is missing here does not compile. */
const CALLS = {
  deviceGateway: { start: true, sendCommand: true } satisfies CallsOf<ReturnType<BoundPorts['deviceGateway']>>,
  eventStream: { declareGroup: true, forgetGroup: true, acceptedItems: true, lag: true } satisfies Omit<
    CallsOf<BoundPorts['eventStream'] & MeasuredStream>,
    'publish' | 'subscribe'
  >,
  timeSeriesStore: {
    ...{ settle: true, progress: true, lostEvents: true, settled: true, series: true, latest: true, waveforms: true },
    ...{ waveform: true, documents: true, storedEventIds: true, deadLetters: true, rejections: true, deadLetter: true },
    ...{ settleDeadLetter: true, applyRetention: true, exportParquet: true, backup: true, maintain: true },
    unreferencedObjects: true,
  } satisfies CallsOf<BoundPorts['timeSeriesStore']>,
  objectStore: { put: true, get: true, list: true, delete: true } satisfies CallsOf<BoundPorts['objectStore']>,
  secretStore: { put: true, get: true, delete: true } satisfies CallsOf<BoundPorts['secretStore']>,
  checkpointStore: {
    ...{ load: true, save: true, acquireLease: true, renewLease: true, releaseLease: true },
  } satisfies CallsOf<BoundPorts['checkpointStore']>,
  machineRegistry: {
    ...{ putMachine: true, putMachines: true, getMachine: true, listMachines: true, deleteMachine: true },
    ...{ quarantine: true, listQuarantine: true, addMachineEvent: true, machineEvents: true, listMachineEvents: true },
  } satisfies CallsOf<BoundPorts['machineRegistry']>,
  deviceRegistry: {
    ...{ addDevice: true, getDevice: true, listDevices: true, bindMachines: true, replaceSecret: true },
    ...{ setEnabled: true, removeDevice: true, authenticate: true },
  } satisfies CallsOf<BoundPorts['deviceRegistry']>,
  ruleStore: { list: true, get: true, put: true, delete: true, history: true } satisfies CallsOf<
    BoundPorts['ruleStore']
  >,
  auditTrail: { begin: true, finish: true, list: true, forget: true } satisfies CallsOf<BoundPorts['auditTrail']>,
  alarmJournal: {
    ...{ record: true, alarm: true, list: true, journal: true, entries: true, openCounts: true, activeAlarms: true },
    ...{ dueShelvings: true, pendingMessages: true, markDelivered: true, markFailed: true, deadMessages: true },
    ...{ retryDead: true, outboxCounts: true, announce: true, announced: true, listAnnounced: true },
    forgetAnnounced: true,
  } satisfies CallsOf<BoundPorts['alarmJournal']>,
  modelRegistry: {
    ...{ register: true, artifact: true, listModels: true, listVersions: true, promote: true, rollback: true },
    ...{ getPromoted: true, promotions: true },
  } satisfies CallsOf<BoundPorts['modelRegistry']>,
  modelInference: { load: true } satisfies CallsOf<BoundPorts['modelInference']>,
  notifiers: { send: true } satisfies CallsOf<BoundPorts['notifiers'][number]>,
  tokenIssuer: { issue: true, listTokens: true, revoke: true } satisfies CallsOf<BoundPorts['tokenIssuer']>,
  identityVerifiers: { verify: true } satisfies CallsOf<BoundPorts['identityVerifiers'][number]>,
};
type Observed = keyof typeof CALLS;
const TABLE = Object.entries(CALLS).flatMap(([port, calls]) =>
  Object.keys(calls).map((method) => [port as Observed, method] as const),
);

let exporter: InMemorySpanExporter;
let tracing: Tracing;
let metrics: Registry;
beforeEach(() => {
  exporter = new InMemorySpanExporter();
  tracing = new Tracing({ service: 'test', sampleRatio: 1, exporter });
  metrics = createMetricsRegistry('test', { processMetrics: false });
});
afterEach(() => tracing[Symbol.asyncDispose]());

/** A part of a port that keeps what it has been asked in a private field, as adapters do. */
class SqlitePart {
  readonly #asked: string[] = [];
  [method: string]: unknown;

  constructor(calls: readonly string[]) {
    for (const name of calls)
      this[name] = async function (this: SqlitePart, failure?: Error) {
        this.#asked.push(name);
        if (failure) throw failure;
        return this.#asked;
      };
  }
}

/** The part that a service gets when the port is bound to one with these methods. */
function bound(port: Observed, calls: readonly string[]): Record<string, (failure?: Error) => Promise<unknown>> {
  const part = new SqlitePart(calls);
  const isList = port === 'notifiers' || port === 'identityVerifiers';
  const given = isList ? [part] : port === 'deviceGateway' ? () => part : part;
  const observed: unknown = observedBinding(port, given as never, { metrics, tracing });
  if (isList) return (observed as never[])[0]!;
  return (port === 'deviceGateway' ? (observed as () => never)() : observed) as never;
}

async function counts(method: string): Promise<readonly string[]> {
  const lines = (await metrics.metrics()).split('\n');
  return lines.filter((line) => line.includes('_count{') && line.includes(`"${method}"`));
}

describe('a call of a port', () => {
  it.each(TABLE)(
    '%s.%s is timed, its failures by their code, with a span in a recorded trace',
    async (port, method) => {
      const part = bound(port, [method]);
      await part[method]!();
      await tracing.span('caller', {}, async () => {
        const failure = new PortError('unavailable', 'away');
        await expect(part[method]!(failure)).rejects.toBe(failure);
      });
      const labels = `db_system_name="sqlite",db_operation_name="${method}",tribo_port="${port}"`;
      expect(await counts(method)).toEqual([
        `db_client_operation_duration_seconds_count{service="test",${labels}} 1`,
        `db_client_operation_duration_seconds_count{service="test",${labels},error_type="unavailable"} 1`,
      ]);
      await tracing.flush();
      const [span, caller, ...others] = exporter.getFinishedSpans();
      expect(others).toEqual([]);
      expect(span).toMatchObject({
        name: `${method} ${port}`,
        kind: SpanKind.CLIENT,
        status: { code: SpanStatusCode.ERROR },
        attributes: {
          ...{ 'db.system.name': 'sqlite', 'db.operation.name': method, 'tribo.port': port },
          'error.type': 'unavailable',
        },
        parentSpanContext: { spanId: caller!.spanContext().spanId },
      });
    },
  );

  it('of what is no database is timed under names of our own, with its adapter', async () => {
    class S3ObjectStore {
      async get(): Promise<undefined> {
        throw new TypeError('a mistake of ours');
      }
    }
    const store = observedBinding('objectStore', new S3ObjectStore() as never, { metrics, tracing });
    await expect(store.get('a')).rejects.toThrow(TypeError);
    expect(await counts('get')).toEqual([
      'tribo_port_call_duration_seconds_count{service="test",tribo_port="objectStore",tribo_method="get",tribo_adapter="s3-object-store",error_type="_OTHER"} 1',
    ]);
  });
});

describe('a model that was loaded', () => {
  it('has each of its calls timed', async () => {
    class OnnxModelInference {
      async load() {
        return { inputLength: 2, explains: false, infer: async () => ({ scores: new Float64Array(1) }) };
      }
    }
    const inference = observedBinding('modelInference', new OnnxModelInference() as never, { metrics, tracing });
    const model = await inference.load(new Uint8Array());
    await model.infer([]);
    expect(model.inputLength).toBe(2);
    const labels = 'tribo_port="modelInference",tribo_method="infer",tribo_adapter="onnx-model-inference"';
    expect(await counts('infer')).toEqual([`tribo_port_call_duration_seconds_count{service="test",${labels}} 1`]);
  });
});

describe('an observed port', () => {
  const what = { port: 'deviceGateway', adapter: 'any-device-gateway' } as const;

  it('has all that the adapter has, and nothing else', async () => {
    class Gateway {
      readonly ackMeans = 'tribo-durable';
      #port = 0;
      get port(): number {
        return this.#port;
      }
      onChange(listener: () => void): () => void {
        listener();
        return () => (this.#port = -1);
      }
      async start(port: number): Promise<void> {
        this.#port = port;
      }
      async [Symbol.asyncDispose](): Promise<void> {
        this.#port = 0;
      }
    }
    const gateway = observedPort(new Gateway(), what, { metrics, tracing });
    await gateway.start(1883);
    expect([gateway.port, gateway.ackMeans]).toEqual([1883, 'tribo-durable']);
    expect(['start' in gateway, 'lag' in gateway, gateway instanceof Gateway]).toEqual([true, false, true]);
    expect(gateway.constructor.name).toBe('Gateway');
    let heard = 0;
    await tracing.span('caller', {}, async () => gateway.onChange(() => heard++)());
    expect([heard, gateway.port]).toEqual([1, -1]);
    await gateway[Symbol.asyncDispose]();
    expect(gateway.port).toBe(0);
  });

  it('hears of a method that was put in the place of another, and measures neither its end nor what waits by design', async () => {
    const part = { start: async () => 1, close: async () => undefined, wait: async () => undefined };
    const observed = observedPort(part, { ...what, unmeasured: ['wait'] }, { metrics, tracing });
    expect(await observed.start()).toBe(1);
    observed.start = async () => 2;
    expect(await observed.start()).toBe(2);
    await observed.close();
    await observed.wait();
    const exposed = await metrics.metrics();
    expect(exposed).toContain('tribo_method="start",tribo_adapter="any-device-gateway"} 2');
    expect(exposed).not.toMatch(/"close"|"wait"/);
  });
});
