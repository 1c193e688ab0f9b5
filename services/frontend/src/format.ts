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

export function time(ms: number): string {
  return new Date(ms).toLocaleTimeString();
}

export function dateTime(ms: number): string {
  return new Date(ms).toLocaleString();
}

export function age(ms: number, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - ms) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 86_400 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86_400)} d ago`;
}
