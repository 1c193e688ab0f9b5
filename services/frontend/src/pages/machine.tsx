import { useEffect, useMemo, useRef, useState, type ReactNode } from 'react';
import type { LiveValue, MachineDetail, Series } from '../../../api-gateway/schemas/machines.ts';
import { learningText } from '../../../api-gateway/schemas/learning-text.ts';
import type {
  Spectra,
  SpectrumView,
  WaveformFeaturesView,
  WaveformList,
} from '../../../api-gateway/schemas/waveforms.ts';
import { serverNowMs } from '../api.ts';
import { Chart, type ChartMark } from '../components/chart.tsx';
import { ResourceView } from '../components/resource-view.tsx';
import { MachineHistory } from '../components/machine-history.tsx';
import { UnderMaintenance } from '../components/under-maintenance.tsx';
import { age, count, dateTime, duration, metricMeaning, metricName, number, unitText } from '../format.ts';
import { useLiveEvent } from '../live.tsx';
import { useNow } from '../now.ts';
import { useResource } from '../resource.ts';
import { machineLink } from '../route.ts';
import { AlarmList } from './alarms.tsx';

const WINDOW_MS = 10 * 60_000;
const SHORTEST_WINDOW_MS = 60_000;
const CHARTS_AT_MOST = 8;
/** Read once, and again after a failure: what is newer comes live. */
const ONCE_MS = 86_400_000;
/** A value that is older says so beside it. */
const OLD_VALUE_MS = 60_000;

/** One machine: its values and charts as they come, the latest spectrum with its defect frequencies, its alarms. */
export function MachinePage({
  site,
  machine,
  waveform,
  canAcknowledge,
}: {
  readonly site: string;
  readonly machine: string;
  /** Whose spectrum to show; the newest one's without it. */
  readonly waveform: string | undefined;
  readonly canAcknowledge: boolean;
}) {
  const query = `site=${encodeURIComponent(site)}`;
  const [detail] = useResource<MachineDetail>(`/v1/machines/${encodeURIComponent(machine)}?${query}`, 2000);
  return (
    <ResourceView resource={detail} what={`machine ${machine}`}>
      {(data) => (
        <>
          <MachineHead detail={data} />
          <Devices devices={data.devices} />
          {data.maintenance ? (
            <UnderMaintenance site={site} machine={machine} maintenance={data.maintenance} canEnd={canAcknowledge} />
          ) : null}
          <AlarmList
            query={`machine=${encodeURIComponent(machine)}&${query}`}
            canAcknowledge={canAcknowledge}
            whenEmpty="No alarm calls for anything at this machine."
          />
          {data.operatingStateProblem === undefined ? null : (
            <p className="old" role="status">
              <strong>The operating state is not known:</strong> {data.operatingStateProblem}.
            </p>
          )}
          {data.unjudged && <Unjudged readings={data.unjudged} />}
          <StillLearning learning={data.learning ?? []} />
          <MetricCharts site={site} machine={machine} detail={data} />
          {waveform === undefined ? (
            <LatestSpectrum site={site} machine={machine} />
          ) : (
            <SpectrumOf site={site} machine={machine} waveform={waveform} />
          )}
          <MachineHistory site={site} machine={machine} canNote={canAcknowledge} />
        </>
      )}
    </ResourceView>
  );
}

/** What it is and how it is, and where nothing comes of it, since when and what to do. */
function MachineHead({ detail }: { readonly detail: MachineDetail }) {
  const { site, machine, name, health, description, operatingState, lastSeenMs, stale } = detail;
  useNow();
  const nowMs = serverNowMs();
  return (
    <>
      <h1>
        {name ?? machine} <span className={`tag health-${health.status}`}>{health.status}</span>
      </h1>
      <p className="muted">
        {site}/{machine}, {detail.class}, <strong>{stateText(operatingState)}</strong>,{' '}
        {description.nominalRpm === undefined ? 'speed unknown' : `nominal ${count(description.nominalRpm)} r/min`},{' '}
        {lastSeenMs === undefined ? 'never seen' : `last seen ${age(lastSeenMs, nowMs)}`}
      </p>
      {stale && lastSeenMs !== undefined ? (
        <p className="old" role="status">
          <strong>Silent for {duration(nowMs - lastSeenMs)}.</strong> What is shown is how it was then, not how it is
          now. Check power and network of its device, then the sensor.
        </p>
      ) : null}
    </>
  );
}

/** Whether whoever sends for the machine is connected. What is connected and silent, and what is gone, want different remedies. */
function Devices({ devices }: { readonly devices: MachineDetail['devices'] }) {
  if (devices.length === 0) return null;
  return (
    <ul className="muted" aria-label="Devices">
      {devices.map(({ id, online, sinceMs, by }) => (
        <li key={id}>
          Device {id}:{' '}
          <strong>{online ? 'connected' : by === 'status' ? 'says it is not there' : 'not connected'}</strong> since{' '}
          {dateTime(sinceMs)}
        </li>
      ))}
    </ul>
  );
}

/** A limit that watches nothing: nobody would know of it otherwise. */
function Unjudged({ readings }: { readonly readings: NonNullable<MachineDetail['unjudged']> }) {
  if (readings.length === 0) return null;
  return (
    <section className="old" role="status" aria-label="Not judged">
      <strong>Not every reading is judged.</strong>
      <ul>
        {readings.map(({ rule, metric, readingUnit, ruleUnit }) => (
          <li key={`${rule}/${metric}`}>
            Rule <code>{rule}</code> does not judge <code>{metric}</code>: it comes in <code>{readingUnit}</code>, which
            does not convert to the rule’s <code>{ruleUnit}</code>.
          </li>
        ))}
      </ul>
      Send the unit’s UCUM code (degrees Celsius are <code>Cel</code>), or change the rule.
    </section>
  );
}

/** Until then a fault that was there from the beginning, or comes now, is not told from what is normal. */
function StillLearning({ learning }: { readonly learning: NonNullable<MachineDetail['learning']> }) {
  if (learning.length === 0) return null;
  return (
    <section className="muted" aria-label="Still learning">
      {learning.map((each) => (
        <p key={`${each.by}/${each.id}/${each.sensor ?? ''}/${each.metric ?? ''}`}>
          {learningText(each)}
          {each.sinceMs === undefined ? '' : `, since ${dateTime(each.sinceMs)}`}.
        </p>
      ))}
    </section>
  );
}

function MetricCharts({
  site,
  machine,
  detail: { latest, description },
}: {
  readonly site: string;
  readonly machine: string;
  readonly detail: MachineDetail;
}) {
  useNow();
  const nowMs = serverNowMs();
  if (latest.length === 0) {
    return (
      <p className="notice">
        No readings yet. Ready lines to send some with: <code>npx tribo device add {machine}</code>
      </p>
    );
  }
  const catalogue = new Map(description.metrics.map(({ name, unit }) => [name, unit]));
  // What is computed of a metric over a window (`temperature:mean`) goes without a chart beside the metric’s own.
  const plain = latest.filter(({ metric }) => !/[.:]/.test(metric));
  const derived = latest.filter((each) => /\.(anomaly_score|health|velocity_rms_mm_s|kurtosis)$/.test(each.metric));
  const shown = [...derived, ...plain].slice(0, CHARTS_AT_MOST);
  const newestMs = Math.max(...latest.map(({ tsMs }) => tsMs));
  // Of one that is silent for longer, or was imported, the last that there is; else up to now, so that a gap is seen.
  const endedMs = nowMs - newestMs > WINDOW_MS ? newestMs : undefined;
  return (
    <section aria-label="Readings">
      <h2>
        Readings{' '}
        <span className="muted">
          {endedMs === undefined
            ? 'last 10 minutes'
            : `the 10 minutes before ${dateTime(endedMs)}, ${age(endedMs, nowMs)}`}
        </span>
      </h2>
      <div className="charts">
        {shown.map((value) => (
          <MetricChart
            key={value.metric}
            site={site}
            machine={machine}
            value={value}
            unit={value.unit ?? catalogue.get(value.metric)}
            endedMs={endedMs}
          />
        ))}
      </div>
      {shown.length < latest.length ? (
        <p className="muted">
          {count(latest.length - shown.length)} more metrics are not shown here; the API has them all.
        </p>
      ) : null}
    </section>
  );
}

function MetricChart({
  site,
  machine,
  value,
  unit,
  endedMs,
}: {
  readonly site: string;
  readonly machine: string;
  readonly value: LiveValue;
  readonly unit: string | undefined;
  /** Where the chart ends; absent: now. */
  readonly endedMs: number | undefined;
}) {
  const { metric } = value;
  const path = useMemo(() => {
    const endMs = endedMs ?? serverNowMs();
    const query = new URLSearchParams({
      ...{ site, metric, step: '0', limit: '5000' },
      // What comes live is in it, and continues the same line.
      ...(value.unit !== undefined && { unit: value.unit }),
      from: String(Math.round(endMs - WINDOW_MS)),
      to: String(Math.round(endMs + 60_000)),
    });
    return `/v1/machines/${encodeURIComponent(machine)}/series?${query.toString()}`;
  }, [site, machine, metric, value.unit, endedMs]);
  const [series] = useResource<Series>(path, ONCE_MS);
  const [live, setLive] = useState<Points>({ xs: [], ys: [] });
  useEffect(() => setLive((current) => append(current, value.tsMs, value.value)), [value.tsMs, value.value]);
  useLiveEvent('readings', (event) => {
    const own = event.machines.find((each) => each.site === site && each.machine === machine);
    const reading = own?.metrics[metric];
    if (own && reading !== undefined) setLive((current) => append(current, own.tsMs, reading));
  });
  const read = series.state === 'ready' ? series.data : undefined;
  const points = useMemo(() => joined({ xs: read?.ts ?? [], ys: read?.columns['value'] ?? [] }, live), [read, live]);
  const { name, sensor } = metricName(metric);
  const shownUnit = unitText(unit);
  const nowMs = serverNowMs();
  const endMs = endedMs ?? nowMs;
  // What began to send a minute ago fills its chart; what fell silent leaves the rest of it empty.
  const beginMs = Math.min(Math.max(endMs - WINDOW_MS, points.xs[0] ?? 0), endMs - SHORTEST_WINDOW_MS);
  return (
    <ResourceView resource={series} what={name}>
      {() => (
        <Chart
          title={`${name}: ${number(value.value)}${shownUnit && ` ${shownUnit}`}`}
          meaning={metricMeaning(metric)}
          note={[
            sensor,
            nowMs - value.tsMs > OLD_VALUE_MS ? age(value.tsMs, nowMs) : undefined,
            value.quality === 'good' ? undefined : `quality ${value.quality}`,
            read && read.leftOut.length > 0 ? `values ${leftOutText(read.leftOut)} are not shown` : undefined,
          ]}
          yUnit={shownUnit}
          xUnit="time"
          xs={points.xs}
          ys={points.ys}
          xRange={[beginMs, endMs]}
        />
      )}
    </ResourceView>
  );
}

interface Points {
  readonly xs: readonly number[];
  readonly ys: readonly number[];
}

/** What was read, and of what came meanwhile the newer. */
function joined(read: Points, live: Points): Points {
  const last = read.xs.at(-1) ?? -Infinity;
  const from = live.xs.findIndex((x) => x > last);
  return from < 0 ? read : { xs: [...read.xs, ...live.xs.slice(from)], ys: [...read.ys, ...live.ys.slice(from)] };
}

function append(points: Points, x: number, y: number): Points {
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
  return (
    <SpectrumSection title="Latest spectrum">
      <ResourceView resource={waveforms} what="the waveforms">
        {() =>
          newest ? (
            <SpectraView waveform={newest.id} />
          ) : (
            <p className="notice">
              No waveform yet. Send the samples of a vibration sensor to <code>/v1/waveforms</code> or the topic{' '}
              <code>…/waveform/sensor-name</code>, and its spectrum is shown here.
            </p>
          )
        }
      </ResourceView>
    </SpectrumSection>
  );
}

function SpectrumOf({
  site,
  machine,
  waveform,
}: {
  readonly site: string;
  readonly machine: string;
  readonly waveform: string;
}) {
  return (
    <SpectrumSection title="Spectrum of the alarm’s waveform">
      <p>
        <a href={machineLink(site, machine)}>Show the latest instead</a>
      </p>
      <SpectraView waveform={waveform} isAskedFor />
    </SpectrumSection>
  );
}

function SpectrumSection({ title, children }: { readonly title: string; readonly children: ReactNode }) {
  return (
    <section aria-label="Spectrum">
      <h2>{title}</h2>
      {children}
    </section>
  );
}

function SpectraView({
  waveform,
  isAskedFor = false,
}: {
  readonly waveform: string;
  /** Whoever followed a link to it wants to see it, and not the top of the page. */
  readonly isAskedFor?: boolean;
}) {
  const [spectra] = useResource<Spectra>(
    `/v1/waveforms/${encodeURIComponent(waveform)}/spectrum?kind=amplitude,envelope&maxLines=${MAX_LINES}`,
    SPECTRA_MS,
  );
  // The spectrum before stays until the next one is there: a page that is empty for a moment with every waveform cannot be read.
  const shown = useRef<Spectra | undefined>(undefined);
  if (spectra.state === 'ready') shown.current = spectra.data;
  const start = useRef<HTMLParagraphElement>(null);
  useEffect(() => {
    if (isAskedFor && spectra.state === 'ready') start.current?.scrollIntoView();
  }, [isAskedFor, spectra.state]);
  const resource = spectra.state === 'loading' && shown.current ? READY(shown.current) : spectra;
  return (
    <ResourceView resource={resource} what="the spectrum">
      {({ waveform: { sensor, tsMs, sampleCount, sampleRateHz }, spectra: views }) => (
        <>
          <p className="muted" ref={start}>
            Sensor {sensor}, {dateTime(tsMs)}, {count(sampleCount)} samples at {count(sampleRateHz)} Hz
            {speedText(views[0]?.provenance)}
          </p>
          <IsoZone waveform={waveform} />
          <div className="charts wide">
            {views.map((spectrum) => (
              <SpectrumChart key={spectrum.kind} spectrum={spectrum} />
            ))}
          </div>
        </>
      )}
    </ResourceView>
  );
}

/** The zone of ISO 20816-3, or why there is none. */
function IsoZone({ waveform }: { readonly waveform: string }) {
  const [features] = useResource<WaveformFeaturesView>(`/v1/waveforms/${encodeURIComponent(waveform)}/features`, 5000);
  return (
    <ResourceView resource={features} what="the vibration zone">
      {({ isoZone }) =>
        isoZone.verdict === 'none' ? (
          <p>
            <strong>No zone by ISO 20816-3:</strong> {isoZone.reason}.
          </p>
        ) : (
          <p>
            <strong>Zone {isoZone.verdict} of ISO 20816-3:</strong> velocity RMS {number(isoZone.velocityRmsMmPerS)}{' '}
            mm/s; zone C begins above {number(isoZone.boundaries.bcMmPerS)}, zone D above{' '}
            {number(isoZone.boundaries.cdMmPerS)} mm/s. <span className="muted">{isoZone.basis}</span>
          </p>
        )
      }
    </ResourceView>
  );
}

const READY = (data: Spectra) => ({ state: 'ready', data, atMs: 0, staleAtMs: Infinity }) as const;
/** So many times the shaft's speed are looked at first; blades and gears are further up. */
const SHAFT_HARMONICS_SHOWN = 12;
/** A line that stands out of the others so far is worth a name. */
const REMARKABLE_RATIO = 4;
const MAX_LINES = 8000;
/** Its samples never change, but the speed may: the features, which find the reading of it, come a little later. */
const SPECTRA_MS = 30_000;

function SpectrumChart({ spectrum }: { readonly spectrum: SpectrumView }) {
  const { amplitudes, frequencyStepHz, marks, kind } = spectrum;
  const [full, setFull] = useState(false);
  const xs = useMemo(() => amplitudes.map((_, line) => line * frequencyStepHz), [amplitudes, frequencyStepHz]);
  const own = useMemo(
    () =>
      marks.filter(
        (mark) => mark.sideband === 0 && (kind === 'envelope' ? mark.kind !== 'shaft' : mark.kind === 'shaft'),
      ),
    [marks, kind],
  );
  const unmarked = spectrum.unmarked
    .filter((each) => each.kind === (kind === 'envelope' ? 'bearing' : 'shaft'))
    .map(({ reason }) => reason);
  const lines = useMemo<ChartMark[]>(
    () => own.map((mark) => ({ at: mark.frequencyHz, label: mark.label, kind: mark.kind })),
    [own],
  );
  const nearHz = nearRangeHz(own, kind);
  const topHz = xs.at(-1) ?? 0;
  const isNear = nearHz !== undefined && nearHz < topHz && !full;
  return (
    <div>
      <Chart
        title={kind === 'envelope' ? 'Envelope spectrum' : 'Amplitude spectrum'}
        xUnit="Hz"
        yUnit={unitText(spectrum.unit)}
        note={[`amplitude in ${unitText(spectrum.unit)} peak, frequency in Hz`]}
        xs={xs}
        ys={amplitudes}
        marks={lines}
        heightPx={240}
        {...(isNear && { xRange: [0, nearHz] as const })}
      />
      {nearHz !== undefined && nearHz < topHz ? (
        <button type="button" className="quiet" onClick={() => setFull(!full)}>
          {isNear ? `Show all, to ${count(Math.round(topHz))} Hz` : `Show to ${count(Math.round(nearHz))} Hz`}
        </button>
      ) : null}
      {own.length === 0 ? null : <Remarkable marks={own} amplitudes={amplitudes} unit={unitText(spectrum.unit)} />}
      {unmarked.length === 0 ? null : <p className="muted">Not marked: {unmarked.join('; ')}.</p>}
      {kind === 'envelope' && own.length > 0 ? <p className="muted">{DEFECTS_IN_WORDS}</p> : null}
      <details>
        <summary>How it was computed</summary>
        <pre>{JSON.stringify(spectrum.provenance, null, 2)}</pre>
      </details>
    </div>
  );
}

const DEFECTS_IN_WORDS =
  'A defect shows at multiples of its frequency: BPFO on the outer race, BPFI on the inner race, 2xBSF on a rolling element, FTF in the cage.';

const SPEED_FROM = { waveform: 'as the waveform says', reading: 'as it was read', machine: 'its nominal speed' };

/** At which speed the marks stand, and who told it. */
function speedText(provenance: SpectrumView['provenance'] | undefined): string {
  const { rpm, rpmSource, rpmReadAtMs } = provenance ?? {};
  if (rpm === undefined || rpmSource === undefined || rpmSource === 'unknown') return ', speed unknown';
  const at = rpmReadAtMs === undefined ? '' : ` at ${dateTime(rpmReadAtMs)}`;
  return `, ${number(rpm)} r/min (${SPEED_FROM[rpmSource]}${at})`;
}

function nearRangeHz(own: SpectrumView['marks'], kind: SpectrumView['kind']): number | undefined {
  if (own.length === 0) return undefined;
  if (kind === 'envelope') return 1.15 * Math.max(...own.map((mark) => mark.frequencyHz));
  const [first] = own;
  return first && (SHAFT_HARMONICS_SHOWN * first.frequencyHz) / first.harmonic;
}

/** What stands out at the marked frequencies, in words. */
function Remarkable({
  marks,
  amplitudes,
  unit,
}: {
  readonly marks: SpectrumView['marks'];
  readonly amplitudes: readonly number[];
  readonly unit: string;
}) {
  const median = useMemo(() => amplitudes.toSorted((a, b) => a - b)[amplitudes.length >> 1] ?? 0, [amplitudes]);
  const found = withoutHarmonicsOfOthers(
    marks
      .filter((mark) => median > 0 && mark.foundAmplitude >= REMARKABLE_RATIO * median)
      .sort((one, other) => other.foundAmplitude - one.foundAmplitude),
  ).slice(0, 6);
  if (found.length === 0) return <p className="muted">Nothing stands out at the marked frequencies.</p>;
  return (
    <p>
      Stands out:{' '}
      {found
        .map((mark) => {
          const times = count(Math.round(mark.foundAmplitude / median));
          return `${mark.label} at ${number(mark.foundHz)} Hz, ${number(mark.foundAmplitude)} ${unit} (${times} times the median line)`;
        })
        .join('; ')}
    </p>
  );
}

/** Strongest first: what lies on a multiple of a stronger defect's frequency is that defect's, and tells of no second one. */
function withoutHarmonicsOfOthers(marks: SpectrumView['marks']): SpectrumView['marks'] {
  const kept: SpectrumView['marks'] = [];
  for (const mark of marks) {
    const isExplained = kept.some(({ kind, foundHz, harmonic }) => {
      const baseHz = foundHz / harmonic;
      const offHz = Math.abs(mark.foundHz - Math.round(mark.foundHz / baseHz) * baseHz);
      return kind !== mark.kind && offHz <= mark.toleranceHz / 2;
    });
    if (!isExplained) kept.push(mark);
  }
  return kept;
}

function leftOutText(units: readonly (string | null)[]): string {
  return units.map((unit) => (unit === null ? 'without a unit' : `in ${unit}`)).join(' and ');
}

function stateText(state: MachineDetail['operatingState']): string {
  if (state === 'maintenance') return 'under maintenance';
  return state === 'unknown' ? 'operating state unknown' : state;
}
