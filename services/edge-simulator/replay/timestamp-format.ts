/** Milliseconds since 1970, or undefined when the text is not a time of that format. */
export type TimestampParser = (text: string) => number | undefined;

export interface TimestampFormat {
  /**
   * `rfc3339`, `epoch-ms`, `epoch-s`, `counter`, or a pattern of yyyy MM dd HH mm ss SSS and the characters between them, such as
   * `yyyy-MM-dd HH:mm:ss`.
   */
  readonly format: string;
  /** Of a pattern's times: `Z`, `+01:00`. */
  readonly utcOffset?: string | undefined;
  /** What one step of a counter stands for. */
  readonly counterStepS?: number | undefined;
  /** When a counter was 0. */
  readonly counterOrigin?: string | undefined;
}

/** @throws RangeError that says what is wrong with the format. */
export function timestampParser(options: TimestampFormat): TimestampParser {
  switch (options.format) {
    case 'rfc3339':
      return (text) => (RFC_3339.test(text) ? finite(Date.parse(text)) : undefined);
    case 'epoch-ms':
      return (text) => number(text);
    case 'epoch-s':
      return (text) => scaled(number(text), 1000);
    case 'counter':
      return counterParser(options);
    default:
      return patternParser(options.format, offsetMs(options.utcOffset ?? 'Z'));
  }
}

const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

function counterParser({ counterStepS, counterOrigin }: TimestampFormat): TimestampParser {
  if (counterStepS === undefined || !(counterStepS > 0)) {
    throw new RangeError('a counter needs counterStepS, the seconds that one step stands for');
  }
  const originMs = Date.parse(counterOrigin ?? '');
  if (Number.isNaN(originMs)) throw new RangeError('a counter needs counterOrigin, the time (RFC 3339) when it was 0');
  return (text) => {
    const steps = number(text);
    return steps === undefined ? undefined : originMs + steps * counterStepS * 1000;
  };
}

const FIELDS = ['yyyy', 'MM', 'dd', 'HH', 'mm', 'ss', 'SSS'] as const;

/** Every field has a fixed width, so its place is known and no regular expression runs for each row. */
function patternParser(pattern: string, utcOffsetMs: number): TimestampParser {
  const places = FIELDS.map((field) => pattern.indexOf(field));
  const [year, month, day] = places;
  if (year === undefined || year < 0 || month === undefined || month < 0 || day === undefined || day < 0) {
    throw new RangeError(
      `timestamp format ${JSON.stringify(pattern)} must be rfc3339, epoch-ms, epoch-s, counter, or a pattern with yyyy, MM and dd (and HH mm ss SSS), such as yyyy-MM-dd HH:mm:ss`,
    );
  }
  const literals = Array.from({ length: pattern.length }, (_, at) => ({ at, character: pattern[at] })).filter(
    ({ at }) => !places.some((place, k) => place >= 0 && at >= place && at < place + FIELDS[k]!.length),
  );
  const field = (text: string, k: number): number => {
    const place = places[k]!;
    return place < 0 ? 0 : digits(text, place, FIELDS[k]!.length);
  };
  return (text) => {
    if (text.length !== pattern.length) return undefined;
    for (const { at, character } of literals) if (text[at] !== character) return undefined;
    const [monthOf, dayOf, hour, minute, second] = [
      field(text, 1),
      field(text, 2),
      field(text, 3),
      field(text, 4),
      field(text, 5),
    ];
    if (monthOf < 1 || monthOf > 12 || dayOf < 1 || dayOf > 31 || hour > 23 || minute > 59 || second > 60)
      return undefined;
    return finite(Date.UTC(field(text, 0), monthOf - 1, dayOf, hour, minute, second, field(text, 6)) - utcOffsetMs);
  };
}

function digits(text: string, from: number, count: number): number {
  let value = 0;
  for (let i = from; i < from + count; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (!(digit >= 0 && digit <= 9)) return NaN;
    value = value * 10 + digit;
  }
  return value;
}

function offsetMs(text: string): number {
  if (text === 'Z') return 0;
  const parts = /^([+-])(\d\d):(\d\d)$/.exec(text);
  if (!parts) throw new RangeError(`utcOffset must be Z or like +01:00, got ${JSON.stringify(text)}`);
  return (parts[1] === '-' ? -1 : 1) * (Number(parts[2]) * 60 + Number(parts[3])) * 60_000;
}

function number(text: string): number | undefined {
  return text.trim() === '' ? undefined : finite(Number(text));
}

function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined;
}

function scaled(value: number | undefined, factor: number): number | undefined {
  return value === undefined ? undefined : value * factor;
}
