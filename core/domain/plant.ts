import { z } from 'zod';
import { isName } from './ids.ts';
import { unitProblem } from './units.ts';

const name = z.string().refine(isName, 'must be 1 to 64 of A-Z a-z 0-9 _ . - (and not . or ..)');

/** Fastest speed that is believed, in revolutions per minute. */
export const MAX_RPM = 1e6;

/** What a rolling bearing may be: for what is within, there are defect frequencies and a spectrum that marks them. */
export const BEARING_LIMITS = {
  minElements: 3,
  maxElements: 200,
  /** Degrees; at 90 the load is axial alone, and the kinematics of a radial bearing say nothing. */
  belowContactAngleDeg: 90,
  /** More cannot be told apart. */
  perMachine: 16,
} as const;

/** Geometry of a rolling bearing, from which its defect frequencies follow (core/features/bearing.ts). */
export const bearingSchema = z
  .strictObject({
    id: name,
    designation: z.string().max(64).optional(),
    elements: z.int().min(BEARING_LIMITS.minElements).max(BEARING_LIMITS.maxElements),
    elementDiameterMm: z.number().positive(),
    pitchDiameterMm: z.number().positive(),
    contactAngleDeg: z.number().min(0).lt(BEARING_LIMITS.belowContactAngleDeg).default(0),
  })
  .refine(({ elementDiameterMm, pitchDiameterMm }) => elementDiameterMm < pitchDiameterMm, {
    path: ['elementDiameterMm'],
    message: 'must be smaller than the pitch diameter',
  });

/** A metric that a machine is expected to send: its UCUM unit, and the limits outside which a value cannot be true. */
export const metricDefinitionSchema = z
  .strictObject({
    name,
    unit: z.string().max(32),
    description: z.string().max(200).optional(),
    /** True where it comes only now and then, or no longer: then nobody misses it. */
    optional: z.boolean().optional(),
    min: z.number().optional(),
    max: z.number().optional(),
  })
  .refine(({ min = -Infinity, max = Infinity }) => min < max, { path: ['max'], message: 'must be above min' });

export const sensorSchema = z.strictObject({
  id: name,
  kind: z.enum(['acceleration', 'velocity', 'temperature', 'current', 'pressure', 'speed', 'other']),
  unit: z.string().max(32),
  sampleRateHz: z.number().positive().optional(),
  /** The bearing it sits at; absent means that it hears all of the machine's bearings. */
  bearing: name.optional(),
});

/** How the operating state is known: from a speed or current metric with a threshold, or from a tag that names the state. */
export const operatingStateSourceSchema = z.discriminatedUnion('from', [
  z.strictObject({ from: z.literal('threshold'), metric: name, runningAbove: z.number() }),
  z.strictObject({ from: z.literal('tag'), metric: name, running: z.number(), maintenance: z.number().optional() }),
  z.strictObject({ from: z.literal('always'), state: z.literal('running') }),
]);

export const machineSchema = z
  .strictObject({
    id: name,
    name: z.string().max(120).optional(),
    area: name.optional(),
    line: name.optional(),
    class: z.enum([
      'pump',
      'fan',
      'motor',
      'gearbox',
      'compressor',
      'press',
      'spindle',
      'bearing-rig',
      'engine',
      'process',
      'other',
    ]),
    powerKw: z.number().positive().optional(),
    nominalRpm: z.number().positive().max(MAX_RPM).optional(),
    shaftHeightMm: z.number().positive().optional(),
    support: z.enum(['rigid', 'flexible']).optional(),
    gearTeeth: z.int().positive().optional(),
    bearings: z.array(bearingSchema).max(BEARING_LIMITS.perMachine).default([]),
    sensors: z.array(sensorSchema).max(128).default([]),
    metrics: z.array(metricDefinitionSchema).max(512).default([]),
    operatingState: operatingStateSourceSchema.default({ from: 'always', state: 'running' }),
  })
  .superRefine((machine, context) => {
    requireUnique(
      machine.bearings.map(({ id }) => id),
      'bearings',
      'id',
      context,
    );
    requireUnique(
      machine.sensors.map(({ id }) => id),
      'sensors',
      'id',
      context,
    );
    requireUnique(
      machine.metrics.map((metric) => metric.name),
      'metrics',
      'name',
      context,
    );
    for (const [index, { bearing }] of machine.sensors.entries()) {
      if (bearing === undefined || machine.bearings.some(({ id }) => id === bearing)) continue;
      const message = `names no bearing of this machine: ${bearing}`;
      context.addIssue({ code: 'custom', path: ['sensors', index, 'bearing'], message });
    }
  });

/**
 * A machine as somebody describes it: {@link machineSchema}, with units that are known. What is kept is read without that, lest a unit that an
 * earlier Tribo took keep the machine from being read.
 */
export const describedMachineSchema = machineSchema.superRefine((machine, context) => {
  for (const list of ['metrics', 'sensors'] as const) {
    for (const [index, { unit }] of machine[list].entries()) {
      const message = unitProblem(unit);
      if (message !== undefined) context.addIssue({ code: 'custom', path: [list, index, 'unit'], message });
    }
  }
});

/** A plant as a file describes it: one tenant's site with its machines. */
export const plantSchema = z.strictObject({
  tenant: name,
  site: name,
  name: z.string().max(120).optional(),
  machines: z.array(describedMachineSchema).max(20_000),
});

function requireUnique(names: readonly string[], list: string, field: string, context: z.RefinementCtx): void {
  for (const [index, each] of names.entries()) {
    if (names.indexOf(each) === index) continue;
    context.addIssue({ code: 'custom', path: [list, index, field], message: `${each} is there twice` });
  }
}

export type Bearing = z.infer<typeof bearingSchema>;
export type MetricDefinition = z.infer<typeof metricDefinitionSchema>;
export type Sensor = z.infer<typeof sensorSchema>;
export type OperatingStateSource = z.infer<typeof operatingStateSourceSchema>;
export type Machine = z.infer<typeof machineSchema>;
export type Plant = z.infer<typeof plantSchema>;
/** What a plant file may say: as {@link Plant}, with defaults left out. */
export type PlantDescription = z.input<typeof plantSchema>;

/** Whether verdicts, baselines and missing-data alarms apply now. */
export type OperatingState = 'running' | 'stopped' | 'maintenance';
