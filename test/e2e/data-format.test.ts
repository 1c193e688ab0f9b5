import { hash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import type { AlarmView } from '#services/api-gateway/schemas/alarms.ts';
import type { Series } from '#services/api-gateway/schemas/machines.ts';
import type { RuleView } from '#services/api-gateway/schemas/rules.ts';
import type { WaveformList } from '#services/api-gateway/schemas/waveforms.ts';
import { DATA_FORMAT } from '#services/shared/process/data-format.ts';
import type { ExpectedContent } from '#test/fixtures/data-format/expected-content.ts';
import { MqttDevice } from '#test/support/mqtt-device.ts';
import { PlatformProcess } from '#test/support/platform-process.ts';

const TIMEOUT_MS = 120_000;
const FIXTURES = fileURLToPath(new URL('../fixtures/data-format', import.meta.url));
const formats = readdirSync(FIXTURES).filter((name) => /^v\d+$/.test(name));
/** The fixtures grow old: nothing in them must have been kept too long. */
const KEEPS = {
  TRIBO_RAW_DAYS: '3650',
  TRIBO_ROLLUP_1M_DAYS: '3650',
  TRIBO_ROLLUP_1H_DAYS: '3650',
  TRIBO_WAVEFORM_DAYS: '3650',
};

describe('data folders of every format', () => {
  it('have a fixture, the present one too', () => {
    expect(formats.sort()).toEqual(Array.from({ length: DATA_FORMAT }, (_, i) => `v${i + 1}`));
  });

  it.each(formats)(
    'a folder of format %s is opened with its readings, alarm, rule, device and ledger, and takes more',
    async (format) => {
      const expected = JSON.parse(readFileSync(join(FIXTURES, format, 'expected.json'), 'utf8')) as ExpectedContent;
      await using platform = await PlatformProcess.start({
        env: KEEPS,
        prepare: (dataDir) => unpack(join(FIXTURES, format, 'data'), dataDir),
      });
      const { api } = platform;
      expect(await platform.drainedLedger()).toMatchObject({ ...expected.ledger, exact: true });

      const { site, machine, metric, fromMs, values } = expected.readings;
      const path = `/v1/machines/${machine}/series?site=${site}&metric=${metric}&from=${fromMs}&to=${fromMs + 60_000}`;
      const series = await api.request<Series>('GET', path);
      expect(series.columns).toEqual({ value: values });
      expect(series.ts).toEqual(values.map((_, i) => fromMs + i * 1000));
      expect(await api.request<AlarmView>('GET', `/v1/alarms/${expected.alarm.id}`)).toMatchObject({
        title: expected.alarm.title,
        comment: expected.alarm.comment,
        acknowledged: true,
      });
      await expectSamples(platform, machine, site);
      const { rule } = await api.request<RuleView>('GET', `/v1/rules/${expected.rule.id}`);
      expect(rule).toMatchObject({ limit: expected.rule.limit });

      const { id, secret } = expected.device;
      const device = await MqttDevice.connect(platform.mqttPort, { clientId: id, username: id, password: secret });
      const topic = `tribo/v1/demo/${site}/${machine}/telemetry`;
      await device.publishTo(topic, JSON.stringify({ id: 'one-more', ts: Date.now(), metrics: { rpm: 1500 } }));
      await device.disconnect();
      const { accepted, stored } = expected.ledger;
      expect(await platform.drainedLedger()).toMatchObject({ exact: true, accepted: accepted + 1, stored: stored + 1 });
      expect(JSON.parse(readFileSync(join(platform.dataDir, 'format.json'), 'utf8'))).toMatchObject({
        format: DATA_FORMAT,
      });
    },
    TIMEOUT_MS,
  );
});

/** Samples come back as they were sent, also of objects from before they described themselves. */
async function expectSamples({ api, url }: PlatformProcess, machine: string, site: string): Promise<void> {
  const { items } = await api.request<WaveformList>('GET', `/v1/machines/${machine}/waveforms?site=${site}`);
  expect(items.length).toBeGreaterThan(0);
  for (const { id, sha256 } of items) {
    const headers = { authorization: `Bearer ${api.token}`, accept: 'application/octet-stream' };
    const response = await fetch(new URL(`/v1/waveforms/${id}`, url), { headers });
    expect(hash('sha256', new Uint8Array(await response.arrayBuffer()), 'hex')).toBe(sha256);
  }
}

function unpack(from: string, dataDir: string): void {
  for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const to = join(dataDir, path.slice(from.length + 1).replace(/\.gz$/, ''));
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, gunzipSync(readFileSync(path)), { mode: 0o600 });
  }
}
