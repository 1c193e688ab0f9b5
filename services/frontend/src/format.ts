/** Three or four significant digits: what an eye can use. */
export function number(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1000) return value.toLocaleString(undefined, { maximumFractionDigits: 0 });
  return size < 0.001 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

export function count(value: number): string {
  return value.toLocaleString();
}

/** The locale whose dates read 2026-11-21 07:53:15: nobody takes the month for the day. The time is the browser's own. */
const ISO_LIKE = 'sv-SE';

export function time(ms: number): string {
  return new Date(ms).toLocaleTimeString(ISO_LIKE);
}

/** With the zone: who reads it may be elsewhere than the machine. */
export function dateTime(ms: number): string {
  return new Date(ms).toLocaleString(ISO_LIKE, {
    ...{ year: 'numeric', month: '2-digit', day: '2-digit' },
    ...{ hour: '2-digit', minute: '2-digit', second: '2-digit', timeZoneName: 'short' },
  });
}

export function age(ms: number, nowMs: number): string {
  return `${duration(nowMs - ms)} ago`;
}

export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return seconds < 86_400 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}

const SHOWN_UNITS: Readonly<Record<string, string>> = {
  '1': '',
  Cel: '°C',
  '[degF]': '°F',
  K: 'K',
  '{rpm}': 'r/min',
  '/min': 'r/min',
  'm/s2': 'm/s²',
  '%': '%',
};

/** A UCUM code as people write it; of a pure number nothing. */
export function unitText(unit: string | undefined): string {
  return unit === undefined ? '' : (SHOWN_UNITS[unit] ?? unit);
}

/** `de-radial.velocity_rms_mm_s` is "Velocity RMS" of the sensor de-radial. */
export function metricName(metric: string): { readonly name: string; readonly sensor: string | undefined } {
  const dot = metric.indexOf('.');
  const words = metric
    .slice(dot + 1)
    .replace(/_(mm_s|g)$/, '')
    .replaceAll('_', ' ')
    .replace(/\brms\b/, 'RMS')
    .replace(/^rpm$/, 'speed');
  return { name: capitalised(words), sensor: dot < 0 ? undefined : metric.slice(0, dot) };
}

const MEANINGS: readonly (readonly [RegExp, string])[] = [
  [/\.kurtosis$/, 'How impulsive the vibration is: about 3 for a healthy bearing, more with every impact of a defect'],
  [/velocity_rms/, 'Strength of the vibration as ISO 20816 judges it, from 10 to 1000 Hz'],
  [
    /\.anomaly_score$/,
    'How far its vibration is from what was learnt while it was healthy; the rules say from where on it alarms',
  ],
  [/\.health$/, '1: vibrates as it did while it was healthy; 0: so far from it that it alarms'],
];

/** What a metric that only an expert knows says of a machine. */
export function metricMeaning(metric: string): string | undefined {
  return MEANINGS.find(([names]) => names.test(metric))?.[1];
}

export function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
