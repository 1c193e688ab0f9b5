import { partKey, type PartDetails } from '../domain/alarm.ts';
import { severityOf, type VersionedRule } from '../domain/rule.ts';

/** What a judgement adds to what its rule says. */
export type Judgement = Pick<PartDetails, 'message' | 'window'> &
  Partial<
    Pick<
      PartDetails,
      | 'model'
      | 'metric'
      | 'sensor'
      | 'value'
      | 'limit'
      | 'unit'
      | 'baseline'
      | 'baselineWindow'
      | 'boundary'
      | 'zone'
      | 'basis'
      | 'waveformId'
      | 'documentId'
    >
  >;

/** The part of an alarm that a rule's judgement makes. */
export function partDetails({ rule, version }: VersionedRule, judgement: Judgement): PartDetails {
  return {
    key: partKey(rule.id, judgement.metric, judgement.sensor),
    kind: rule.kind,
    rule: { id: rule.id, version },
    title: rule.text,
    consequence: rule.consequence,
    response: rule.response,
    priority: rule.priority,
    severity: severityOf(rule),
    latching: rule.latching,
    ...judgement,
  };
}

/** `temperature 81.5 Cel is above 80 Cel`, with what tells more of the comparison. */
export function comparison(subject: {
  readonly name: string;
  readonly value: number;
  readonly direction: 'above' | 'below';
  readonly limit: number;
  readonly unit?: string | undefined;
}): string {
  const unit = subject.unit === undefined || subject.unit === '1' ? '' : ` ${subject.unit}`;
  return `${subject.name} ${figure(subject.value)}${unit} is ${subject.direction} ${figure(subject.limit)}${unit}`;
}

/** Four significant digits: what a person reads; the exact value stands beside it. */
export function figure(value: number): string {
  return String(Number(value.toPrecision(4)));
}

/** `90 s`, `15 min`: a duration for people. */
export function duration(ms: number): string {
  if (ms < 120_000) return `${figure(ms / 1000)} s`;
  return ms < 7_200_000 ? `${figure(ms / 60_000)} min` : `${figure(ms / 3_600_000)} h`;
}
