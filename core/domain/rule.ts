import { z } from 'zod';
import { isName, type RuleId, type TenantId } from './ids.ts';
import { machineSchema } from './plant.ts';
import { differenceUnit, unitProblem } from './units.ts';

/** From least to most urgent; ISA-18.2 expects about 80 % low and medium, 15 % high, 5 % critical. */
export const ALARM_PRIORITIES = ['low', 'medium', 'high', 'critical'] as const;
export type AlarmPriority = (typeof ALARM_PRIORITIES)[number];

/** Position in {@link ALARM_PRIORITIES}. */
export function priorityRank(priority: AlarmPriority): number {
  return ALARM_PRIORITIES.indexOf(priority);
}

const MAX_DELAY_MS = 7 * 86_400_000;

const name = z.string().refine(isName, 'must be 1 to 64 of A-Z a-z 0-9 _ . - (and not . or ..)');
const pattern = z.string().regex(/^[A-Za-z0-9_.*-]{1,64}$/, 'must be a name in which * stands for any characters');
const NO_DELAYS = 'missing-data has no delays: `afterMs` is the delay';
const noDelayMs = z.number().min(0, NO_DELAYS).max(0, NO_DELAYS).default(0);
const delayMs = z.number().min(0).max(MAX_DELAY_MS).default(0);
const deadband = z.number().min(0).default(0);
const baselineDocuments = z.int().min(3).max(1000).default(50);

const common = {
  id: name,
  /** One line that names the abnormal situation: it becomes the alarm's title. */
  text: z.string().min(1).max(200),
  /** What happens when nobody acts. */
  consequence: z.string().max(1000).default(''),
  /** What the operator does. */
  response: z.string().max(1000).default(''),
  priority: z.enum(ALARM_PRIORITIES).default('medium'),
  /** OPC UA Part 9 severity within the priority's quarter of 1 to 1000 (low 1 to 250, and so on); absent means its middle. */
  severity: z.int().min(1).max(1000).optional(),
  enabled: z.boolean().default(true),
  /** True where the alarm stays until somebody resets it, also after it returned and was acknowledged. */
  latching: z.boolean().default(false),
  /** Every list that is given must have a match; without any, the rule applies to all machines of the tenant. */
  appliesTo: z
    .strictObject({
      machines: z.array(pattern).min(1).max(1000).optional(),
      classes: z.array(machineSchema.shape.class).min(1).max(20).optional(),
      sites: z.array(pattern).min(1).max(100).optional(),
    })
    .default({}),
  /** Judged only while the machine is in one of these states; leaving them returns the condition. */
  operatingStates: z
    .array(z.enum(['running', 'stopped', 'maintenance']))
    .min(1)
    .max(3)
    .default(['running']),
  /** The condition must have held this long, in event time, before it raises. */
  onDelayMs: delayMs,
  /** The condition must have been away this long, in event time, before it returns. */
  offDelayMs: delayMs,
};

/** A reading above or below a limit. It returns `deadband` inside the limit; a value on the limit is neither above nor below it. */
const thresholdRule = z.strictObject({
  kind: z.literal('threshold'),
  ...common,
  metric: name,
  direction: z.enum(['above', 'below']),
  limit: z.number(),
  deadband,
  /**
   * UCUM unit of the limit and the deadband: readings are converted to it from the unit that they were sent with, else from the catalogue's.
   * Those that do not convert are not judged. Without it, they are compared in the catalogue's unit.
   */
  unit: z
    .string()
    .max(32)
    .superRefine((unit, context) => {
      const message = unitProblem(unit);
      if (message !== undefined) context.addIssue({ code: 'custom', message });
    })
    .optional(),
});

/** Nothing for so long although the machine runs: a dead sensor is an alarm, never a zero. `afterMs` is its only delay. */
const missingDataRule = z
  .strictObject({
    kind: z.literal('missing-data'),
    ...common,
    onDelayMs: noDelayMs,
    offDelayMs: noDelayMs,
    /**
     * The metric that must keep coming; without it and `sensor`, any reading or waveform of the machine. With `*`, which stands for any
     * characters, each metric that matches and that the catalogue declares, not as `optional`, or that came 20 times over at least
     * `afterMs`: missed is one that is away although the machine goes on for `afterMs`, or three times as long as it usually may.
     */
    metric: pattern.optional(),
    /** The sensor whose waveforms must keep coming. */
    sensor: name.optional(),
    afterMs: z.number().min(1000).max(MAX_DELAY_MS),
  })
  .refine((rule) => rule.metric === undefined || rule.sensor === undefined, {
    path: ['sensor'],
    message: 'a rule waits for a metric or for the waveforms of a sensor: make two rules',
  });

/** The waveform's ISO 20816-3 zone is this one or worse; it returns a tenth below the zone's boundary. No verdict is neither good nor bad: the condition stays as it is. */
const isoZoneRule = z.strictObject({
  kind: z.literal('iso-zone'),
  ...common,
  zone: z.enum(['B', 'C', 'D']),
  sensor: name.optional(),
});

/**
 * The waveform's broadband velocity is above the ALARM limit of ISO 20816: the machine's own baseline plus `aboveBaseline` of the boundary between
 * zones B and C, at most `atMost` of that boundary. The baseline is the median of the first `baselineDocuments` velocities that a sensor has
 * while the machine runs, taken anew after a repair or bearing change; until it is known, and where there is no zone, there is no verdict. It
 * returns two fifths of the way back to the baseline.
 */
const isoBaselineRule = z
  .strictObject({
    kind: z.literal('iso-baseline'),
    ...common,
    sensor: name.optional(),
    aboveBaseline: z.number().min(0.05).max(1).default(0.25),
    atMost: z.number().min(0.5).max(2).default(1.25),
    baselineDocuments,
  })
  .refine(({ aboveBaseline, atMost }) => aboveBaseline < atMost, {
    path: ['atMost'],
    message: 'must be above aboveBaseline: otherwise no baseline would count',
  });

/** With a colon, as in the names of what is computed of a window of readings. */
const featurePattern = z
  .string()
  .regex(/^[A-Za-z0-9_.*:-]{1,80}$/, 'must be the name of a feature, in which * stands for any characters');

/** A value of a feature document: of one waveform, or of a window of readings (`temperature:mean`, `:deviation`, `:min`, `:max`, `:slope`, `:ewma`). */
const featureRule = z
  .strictObject({
    kind: z.literal('feature'),
    ...common,
    /** The value's name; `*` stands for any characters, and each value that matches is judged for itself. */
    feature: featurePattern,
    source: z.enum(['features', 'window']).default('features'),
    sensor: name.optional(),
    direction: z.enum(['above', 'below']),
    /** In the value's unit; or, relative to the baseline, how many times the median of the first `baselineDocuments` values. */
    limit: z.number(),
    relativeTo: z.enum(['absolute', 'baseline']).default('absolute'),
    baselineDocuments,
    deadband,
  })
  .refine(({ relativeTo, limit }) => relativeTo === 'absolute' || limit > 0, {
    path: ['limit'],
    message: 'must be above 0: it is how many times the baseline',
  });

/** A model's score. Without a limit, the threshold that the model was trained with and sends beside its score. */
const modelScoreRule = z.strictObject({
  kind: z.literal('model-score'),
  ...common,
  /** Model ids; absent means every model. */
  model: pattern.optional(),
  limit: z.number().optional(),
  deadband,
});

const SEVERITIES_PER_PRIORITY = 250;

/** With such a deadband a condition would return beyond zero, where most quantities never are: the alarm would stay for ever. A temperature may be. */
function returnsBeyondZero({ direction = 'above', limit, deadband, unit }: Limited): boolean {
  if (limit === undefined || (unit !== undefined && differenceUnit(unit) !== unit)) return false;
  const inwards = direction === 'above' ? limit : -limit;
  return inwards > 0 && deadband > inwards;
}

interface Limited {
  readonly direction?: 'above' | 'below';
  readonly limit?: number | undefined;
  readonly deadband: number;
  readonly unit?: string | undefined;
}

export const ruleSchema = z
  .discriminatedUnion('kind', [
    thresholdRule,
    missingDataRule,
    isoZoneRule,
    isoBaselineRule,
    featureRule,
    modelScoreRule,
  ])
  .superRefine((rule, context) => {
    const { priority, severity } = rule;
    const above = SEVERITIES_PER_PRIORITY * priorityRank(priority);
    if (severity !== undefined && (severity <= above || severity > above + SEVERITIES_PER_PRIORITY)) {
      const message = `priority ${priority} has severities ${above + 1} to ${above + SEVERITIES_PER_PRIORITY}: change one of the two`;
      context.addIssue({ code: 'custom', path: ['severity'], message });
    }
    // Of a multiple of a baseline, the deadband is in the value's unit: the two do not compare.
    const isRelative = rule.kind === 'feature' && rule.relativeTo === 'baseline';
    if ('deadband' in rule && !isRelative && returnsBeyondZero(rule)) {
      const message = `must be at most ${Math.abs(rule.limit!)}: with a wider one the alarm would return only beyond zero (where values are there too, say their unit: Cel or [degF])`;
      context.addIssue({ code: 'custom', path: ['deadband'], message });
    }
  });

export type Rule = z.infer<typeof ruleSchema>;
/** What a rule file or request may say: as {@link Rule}, with defaults left out. */
export type RuleDescription = z.input<typeof ruleSchema>;
export type RuleKind = Rule['kind'];
export type RuleOf<Kind extends RuleKind> = Extract<Rule, { readonly kind: Kind }>;

/** A rule as it is kept: every change makes the next version, and a version is never used twice, not even after deletion. */
export interface VersionedRule {
  readonly tenant: TenantId;
  readonly rule: Rule;
  /** From 1. */
  readonly version: number;
  readonly updatedAtMs: number;
  readonly updatedBy: string;
}

/** What is wrong with a rule, and where: `pointer` is a JSON pointer (RFC 6901) into it. */
export interface RuleProblem {
  readonly pointer: string;
  readonly detail: string;
}

export type ParsedRule =
  { readonly ok: true; readonly rule: Rule } | { readonly ok: false; readonly problems: readonly RuleProblem[] };

/** Parses a rule that somebody wrote; every problem names its field. */
export function parseRule(input: unknown): ParsedRule {
  const parsed = ruleSchema.safeParse(input);
  if (parsed.success) return { ok: true, rule: parsed.data };
  return {
    ok: false,
    problems: parsed.error.issues.slice(0, 50).map((issue) => ({
      pointer: issue.path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join(''),
      detail: issue.message,
    })),
  };
}

export function ruleId(rule: Rule): RuleId {
  return rule.id as RuleId;
}

/** The severity of OPC UA Part 9, 1 to 1000. */
export function severityOf(rule: Pick<Rule, 'priority' | 'severity'>): number {
  return rule.severity ?? SEVERITIES_PER_PRIORITY * (priorityRank(rule.priority) + 0.5);
}
