import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { PORT_NAMES } from '#core/ports/tokens.ts';
import { PlatformProcess, SITE, until, type DeviceLogin } from '#test/support/platform-process.ts';
import { startTraceCollector, type CollectedSpan } from '#test/support/trace-collector.ts';

const TIMEOUT_MS = 240_000;
const AGAIN_AFTER_MS = 5000;

/** What each stage does with a waveform whose features raise an alarm, and the service that does it. */
const STAGES = [
  'api-gateway: POST /v1/waveforms',
  'ingestion-service: accept waveform-raw',
  'timeseries-service: process raw-waveform',
  'feature-service: process raw-waveform',
  'feature-service: publish features',
  'timeseries-service: process features',
  'ml-service: process features',
  'ml-service: publish inference-results',
  'timeseries-service: process inference-results',
  'alert-engine: process inference-results',
  'alert-engine: process features',
  'alert-engine: publish alarms',
  'alert-engine: notify log',
];

/** Some of the calls to what is behind a port that the stages make. */
const CALLS = ['put objectStore', 'get objectStore', 'settle timeSeriesStore', 'record alarmJournal', 'send notifiers'];

describe('one trace from a device to the alarm that its message raised', () => {
  it.each([
    ['the services together in a process', {}, []],
    ['each service in a process of its own', { TRIBO_SPLIT: 'true' }, ['api-gateway: accept waveform-raw']],
  ])(
    'spans gateway, stream, store, features, model, alarm and notification, with %s',
    async (_how, env: Readonly<Record<string, string>>, further) => {
      await using collector = await startTraceCollector();
      await using platform = await PlatformProcess.start({
        env: { ...env, OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint },
      });
      const [device] = await platform.addDevices(['press-7'], 1);
      await platform.api.request('PUT', '/v1/rules/loud', {
        ...{ kind: 'feature', id: 'loud', text: 'Vibration high', feature: '*rms_g', direction: 'above', limit: 0.1 },
      });
      const traceId = randomBytes(16).toString('hex');
      const ofDevice = randomBytes(8).toString('hex');
      const expected = [...STAGES, ...further].sort();
      const spansOf = (isCall: boolean) => collector.spans(traceId).filter((span) => isCallSpan(span) === isCall);
      const stages = () => [...new Set(spansOf(false).map(stageOf))].sort();
      const calls = () => new Set(spansOf(true).map(({ name }) => name));
      let sentAtMs = -Infinity;
      const allSeen = async (): Promise<boolean> => {
        // The rule reaches the engine's process a moment after it was put: a waveform that was judged before raises nothing.
        if (performance.now() - sentAtMs > AGAIN_AFTER_MS) {
          sentAtMs = performance.now();
          await sendWaveform(platform, device!, `00-${traceId}-${ofDevice}-01`);
        }
        return expected.every((stage) => stages().includes(stage)) && CALLS.every((call) => calls().has(call));
      };
      await until('all stages are in the trace', allSeen).catch(() => undefined);
      expect(stages()).toEqual(expected);
      expect([...calls()]).toEqual(expect.arrayContaining(CALLS));

      const spans = collector.spans(traceId);
      const known = new Map(spans.map((span) => [span.spanId, span]));
      const parentsOf = (some: readonly CollectedSpan[]) =>
        some.map((span) => [stageOf(span), parentOf(span, known, ofDevice)] as const);
      const accept = 'ingestion-service: accept waveform-raw';
      for (const [stage, parent] of parentsOf(spansOf(false))) {
        if (stage === 'api-gateway: POST /v1/waveforms') expect(parent).toBe('the device');
        else if (stage.includes(': accept ')) expect(parent).toMatch(/^api-gateway: /);
        else expect([stage, parent]).toEqual([stage, accept]);
      }
      for (const [call, parent] of parentsOf(spansOf(true)))
        expect([call, parent]).toEqual([call, expect.not.stringMatching(/^the device|^nothing/)]);
      await until('a line of the log names the trace', async () => platform.log.includes(`"traceId":"${traceId}"`));
    },
    TIMEOUT_MS,
  );
});

/** A call to what is behind a port, `<method> <port>`. */
const isCallSpan = ({ name }: CollectedSpan): boolean => PORT_NAMES.some((port) => name.endsWith(` ${port}`));

const stageOf = ({ service, name }: CollectedSpan): string => `${service}: ${name}`;

function parentOf(span: CollectedSpan, known: ReadonlyMap<string, CollectedSpan>, ofDevice: string): string {
  if (span.parentSpanId === ofDevice) return 'the device';
  const parent = span.parentSpanId === undefined ? undefined : known.get(span.parentSpanId);
  return parent ? stageOf(parent) : 'nothing of the trace';
}

/** A second of a tone of 50 Hz and 1 g, as little-endian 32-bit floats. */
async function sendWaveform(platform: PlatformProcess, device: DeviceLogin, traceparent: string): Promise<void> {
  const samples = Float32Array.from({ length: 4096 }, (_, index) => Math.sin((2 * Math.PI * 50 * index) / 4096));
  const query = new URLSearchParams({
    ...{ site: SITE, machine: 'press-7', sensor: 'de-horizontal', unit: 'g', encoding: 'f32le' },
    sampleRateHz: '4096',
    ts: String(Date.now() - 1000),
  });
  const response = await fetch(new URL(`/v1/waveforms?${query.toString()}`, platform.url), {
    method: 'POST',
    headers: {
      traceparent,
      authorization: `Basic ${Buffer.from(`${device.device}:${device.secret}`).toString('base64')}`,
      'content-type': 'application/octet-stream',
    },
    body: samples.buffer,
  });
  expect({ status: response.status, text: await response.text() }).toMatchObject({ status: 202 });
}
