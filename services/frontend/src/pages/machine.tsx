import { useEffect, useMemo, useState } from 'react';
import type { LiveValue, MachineDetail, Series } from '../../../api-gateway/schemas/machines.ts';
import type { Spectra, SpectrumView, WaveformList } from '../../../api-gateway/schemas/waveforms.ts';
import { call, useResource } from '../api.ts';
import { Chart, type ChartMark } from '../components/chart.tsx';
import { ResourceView } from '../components/resource-view.tsx';
import { age, number, time } from '../format.ts';
import { useConnection, useLiveEvent } from '../live.tsx';
import { AlarmList } from './alarms.tsx';

const WINDOW_MS = 10 * 60_000;
const CHARTS_AT_MOST = 8;

/** One machine: its values and charts as they come, the latest spectrum with its defect frequencies, its alarms. */
export function MachinePage({
  site,
  machine,
  canAcknowledge,
}: {
  readonly site: string;
  readonly machine: string;
  readonly canAcknowledge: boolean;
}) {
  const query = `site=${encodeURIComponent(site)}`;
  const [detail] = useResource<MachineDetail>(`/v1/machines/${encodeURIComponent(machine)}?${query}`, 2000);
  const connection = useConnection();
  return (
    <ResourceView resource={detail} what={`machine ${machine}`}>
      {(data) => (
        <>
          <h1>
            {data.name ?? machine} <span className={`tag health-${data.health.status}`}>{data.health.status}</span>
          </h1>
          <p className="muted">
            {site}/{machine}, {data.class}, {data.operatingState},{' '}
            {data.description.nominalRpm === undefined ? 'speed unknown' : `${data.description.nominalRpm} r/min`},{' '}
            {data.lastSeenMs === undefined ? 'never seen' : `last seen ${age(data.lastSeenMs, Date.now())}`}
            {data.stale ? ', stale' : ''}
            {connection.state === 'lost' ? ', not live' : ''}
          </p>
          <AlarmList query={`machine=${encodeURIComponent(machine)}&${query}`} canAcknowledge={canAcknowledge} />
          <MetricCharts site={site} machine={machine} latest={data.latest} stale={data.stale} />
          <LatestSpectrum site={site} machine={machine} />
        </>
      )}
    </ResourceView>
  );
}

function MetricCharts({
  site,
  machine,
  latest,
  stale,
}: {
  readonly site: string;
  readonly machine: string;
  readonly latest: readonly LiveValue[];
  readonly stale: boolean;
}) {
  const plain = latest.filter((each) => !each.metric.includes('.'));
  const derived = latest.filter((each) => /\.(anomaly_score|health|velocity_rms_mm_s|kurtosis)$/.test(each.metric));
  const shown = [...derived, ...plain].slice(0, CHARTS_AT_MOST);
  if (latest.length === 0) return <p className="notice">No readings yet.</p>;
  return (
    <section aria-label="Readings">
      <h2>Readings {stale ? <span className="tag health-unknown">stale</span> : null}</h2>
      <div className="charts">
        {shown.map((value) => (
          <MetricChart key={value.metric} site={site} machine={machine} value={value} />
        ))}
      </div>
    </section>
  );
}

function MetricChart({
  site,
  machine,
  value,
}: {
  readonly site: string;
  readonly machine: string;
  readonly value: LiveValue;
}) {
  const { metric } = value;
  const [points, setPoints] = useState<{ readonly xs: readonly number[]; readonly ys: readonly number[] }>({
    xs: [],
    ys: [],
  });
  const [failure, setFailure] = useState<string>();
  useEffect(() => {
    const controller = new AbortController();
    const now = Date.now();
    const path = `/v1/machines/${encodeURIComponent(machine)}/series?site=${encodeURIComponent(site)}&metric=${encodeURIComponent(metric)}&from=${now - WINDOW_MS}&to=${now + 60_000}&step=0&limit=5000`;
    call<Series>('GET', path, undefined, controller.signal).then(
      (series) => setPoints({ xs: series.ts, ys: series.columns['value'] ?? [] }),
      (error: unknown) => {
        if (!controller.signal.aborted) setFailure((error as Error).message);
      },
    );
    return () => controller.abort();
  }, [site, machine, metric]);
  useEffect(() => setPoints((current) => append(current, value.tsMs, value.value)), [value.tsMs, value.value]);
  useLiveEvent('readings', (event) => {
    const own = event.machines.find((each) => each.site === site && each.machine === machine);
    const reading = own?.metrics[metric];
    if (own && reading !== undefined) setPoints((current) => append(current, own.tsMs, reading));
  });
  if (failure !== undefined) {
    return (
      <p className="failure" role="alert">
        Cannot show {metric}. {failure}
      </p>
    );
  }
  return (
    <Chart
      title={`${metric}: ${number(value.value)}`}
      xUnit="time"
      yUnit={value.unit ?? ''}
      xs={points.xs}
      ys={points.ys}
    />
  );
}

function append(points: { readonly xs: readonly number[]; readonly ys: readonly number[] }, x: number, y: number) {
  const last = points.xs.at(-1);
  if (last !== undefined && x <= last) return points;
  const from = points.xs.findIndex((each) => each >= x - WINDOW_MS);
  const first = from < 0 ? points.xs.length : from;
  return { xs: [...points.xs.slice(first), x], ys: [...points.ys.slice(first), y] };
}

function LatestSpectrum({ site, machine }: { readonly site: string; readonly machine: string }) {
  const [waveforms] = useResource<WaveformList>(
    `/v1/machines/${encodeURIComponent(machine)}/waveforms?site=${encodeURIComponent(site)}&limit=1`,
    5000,
  );
  const newest = waveforms.state === 'ready' ? waveforms.data.items[0] : undefined;
  const [spectra] = useResource<Spectra>(
    newest && `/v1/waveforms/${encodeURIComponent(newest.id)}/spectrum?kind=amplitude,envelope&maxLines=2000`,
    3_600_000,
  );
  if (waveforms.state === 'ready' && !newest) return null;
  return (
    <section aria-label="Spectrum">
      <h2>
        Latest spectrum{' '}
        {newest ? (
          <span className="muted">
            sensor {newest.sensor}, {time(newest.tsMs)}
          </span>
        ) : null}
      </h2>
      <ResourceView resource={waveforms} what="the waveforms">
        {() => (
          <ResourceView resource={spectra} what="the spectrum">
            {(data) => (
              <div className="charts wide">
                {data.spectra.map((spectrum) => (
                  <SpectrumChart key={spectrum.kind} spectrum={spectrum} />
                ))}
              </div>
            )}
          </ResourceView>
        )}
      </ResourceView>
    </section>
  );
}

function SpectrumChart({ spectrum }: { readonly spectrum: SpectrumView }) {
  const { amplitudes, frequencyStepHz, marks, kind } = spectrum;
  const xs = useMemo(() => amplitudes.map((_, line) => line * frequencyStepHz), [amplitudes, frequencyStepHz]);
  const own = useMemo<ChartMark[]>(
    () =>
      marks
        .filter((mark) => mark.sideband === 0 && (kind === 'envelope' ? mark.kind !== 'shaft' : mark.kind === 'shaft'))
        .map((mark) => ({ at: mark.frequencyHz, label: mark.label, kind: mark.kind })),
    [marks, kind],
  );
  const highestMark = Math.max(0, ...own.map((mark) => mark.at));
  return (
    <div>
      <Chart
        title={kind === 'envelope' ? 'Envelope spectrum' : 'Amplitude spectrum'}
        xUnit="Hz"
        yUnit={`${spectrum.unit} against Hz`}
        xs={xs}
        ys={amplitudes}
        marks={own}
        heightPx={240}
        {...(kind === 'envelope' && highestMark > 0 ? { xMax: highestMark * 1.15 } : {})}
      />
      {own.length === 0 ? (
        <p className="muted">No defect frequencies are marked: the speed or the bearing is not known.</p>
      ) : null}
      <details>
        <summary>How it was computed</summary>
        <pre>{JSON.stringify(spectrum.provenance, null, 2)}</pre>
      </details>
    </div>
  );
}
