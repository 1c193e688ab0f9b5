import type { MetricDefinition, PlantDescription } from '#core/domain/plant.ts';
import type { MachineSpec } from './machine-spec.ts';
import type { LifeCycle } from './signal/life.ts';
import { pressAt } from './signal/press.ts';
import type { PressModel } from './signal/press.ts';

/**
 * The plant that a newcomer sees: five machines, to be registered with the platform as they stand. The pump's drive-end bearing
 * fails within two minutes; the others are healthy for a long while.
 */
export function demoPlant({
  tenant = 'demo',
  site = 'plant-1',
}: { tenant?: string; site?: string } = {}): PlantDescription {
  return { tenant, site, name: 'Demo plant', machines: DEMO_MACHINES.map(({ description }) => description) };
}

/**
 * What a machine ages by in a second of wall time at `speed` 1: 1000 seconds. A bearing that takes a day to fail is a slow film
 * otherwise. Heat, load and the press's cycle go by the wall clock, as they are watched live.
 */
export const AGEING_AT_SPEED_1 = 1000;

/** Healthy for 29 s of wall time at speed 1, failed after 79 s, runs on for 20 minutes, is mended in half a minute. */
const FAILS_FIRST: LifeCycle = { healthyHours: 8, growthHours: 14, failedHours: 330, repairHours: 8 };

const METRICS = {
  rpm: { name: 'rpm', unit: '/min', description: 'Shaft speed', min: 0, max: 10_000 },
  velocity: { name: 'velocity_rms', unit: 'mm/s', description: 'Vibration velocity, 10-1000 Hz', min: 0, max: 200 },
  temperature: { name: 'temperature', unit: 'Cel', description: 'Bearing temperature', min: -40, max: 250 },
  current: { name: 'current', unit: 'A', description: 'Motor current', min: 0, max: 1000 },
  gap: {
    name: 'gap_count',
    unit: '1',
    description: 'Messages lost by a full store-and-forward queue, told when some were',
    optional: true,
    min: 0,
  },
} as const satisfies Record<string, MetricDefinition>;

const COMMON_METRICS = Object.values(METRICS);

/** Deep-groove ball bearings; pitch diameter is the mean of bore and outside diameter. */
const BEARINGS = {
  6308: { designation: '6308', elements: 8, elementDiameterMm: 15.081, pitchDiameterMm: 65 },
  6309: { designation: '6309', elements: 8, elementDiameterMm: 17.462, pitchDiameterMm: 72.5 },
  6312: { designation: '6312', elements: 8, elementDiameterMm: 22.225, pitchDiameterMm: 95 },
  6313: { designation: '6313', elements: 8, elementDiameterMm: 23.812, pitchDiameterMm: 102.5 },
  6314: { designation: '6314', elements: 8, elementDiameterMm: 25.4, pitchDiameterMm: 110 },
} as const;

const accelerometer = (id: string, bearing: string) =>
  ({ id, kind: 'acceleration', unit: 'g', sampleRateHz: 25_600, bearing }) as const;

const RUNS_ABOVE_200_RPM = { from: 'threshold', metric: 'rpm', runningAbove: 200 } as const;

const pump: MachineSpec = {
  description: {
    id: 'pump-1',
    name: 'Cooling water pump 1',
    area: 'utilities',
    line: 'cooling-water',
    class: 'pump',
    powerKw: 37,
    nominalRpm: 2950,
    shaftHeightMm: 200,
    support: 'rigid',
    bearings: [{ id: 'drive-end', ...BEARINGS[6309] }],
    sensors: [accelerometer('de-radial', 'drive-end')],
    metrics: [
      ...COMMON_METRICS,
      { name: 'pressure', unit: 'bar', description: 'Discharge pressure', min: 0, max: 40 },
      { name: 'flow', unit: 'm3/h', description: 'Volume flow', min: 0, max: 500 },
    ],
    operatingState: RUNS_ABOVE_200_RPM,
  },
  sensor: 'de-radial',
  vibration: {
    nominalRpm: 2950,
    shaftHarmonicsMmPerS: [0.65, 0.3, 0.12],
    blades: { count: 6, velocityMmPerS: 0.35 },
    magneticPull: { supplyHz: 50, velocityMmPerS: 0.12 },
    noiseG: 0.06,
    resonances: [
      { frequencyHz: 3400, dampingRatio: 0.045, gain: 0.8 },
      { frequencyHz: 7800, dampingRatio: 0.03, gain: 0.45 },
    ],
    bearing: BEARINGS[6309],
    impactG: 9,
  },
  duty: {
    runS: 0,
    stopS: 0,
    startUpS: 5,
    coastDownS: 12,
    meanLoad: 0.78,
    loadSwing: 0.08,
    loadPeriodS: 240,
    slip: 0.012,
  },
  thermal: { ambientCel: 24, loadRiseK: 26, speedRiseK: 9, frictionRiseK: 22, timeConstantS: 420 },
  ratedCurrentA: 66,
  ageing: { fault: 'bearing-outer', cycle: FAILS_FIRST },
  process: ({ speedFraction, load, random }) => {
    // Affinity laws: head goes with the square of the speed, flow with the speed; the curve drops towards full flow.
    const flow = Math.max(0, 180 * speedFraction * (0.25 + 0.75 * load) + 0.8 * random.gaussian() * speedFraction);
    return { pressure: Math.max(0, 6.4 * speedFraction ** 2 - 2e-5 * flow ** 2 + 0.02 * random.gaussian()), flow };
  },
};

const fan: MachineSpec = {
  description: {
    id: 'fan-1',
    name: 'Exhaust fan 1',
    area: 'mixing',
    line: 'dust-extraction',
    class: 'fan',
    powerKw: 22,
    nominalRpm: 1480,
    shaftHeightMm: 180,
    support: 'flexible',
    bearings: [{ id: 'drive-end', ...BEARINGS[6313] }],
    sensors: [accelerometer('de-radial', 'drive-end')],
    metrics: [
      ...COMMON_METRICS,
      { name: 'pressure', unit: 'Pa', description: 'Static pressure', min: -10_000, max: 10_000 },
    ],
    operatingState: RUNS_ABOVE_200_RPM,
  },
  sensor: 'de-radial',
  vibration: {
    nominalRpm: 1480,
    shaftHarmonicsMmPerS: [1.1, 0.35, 0.15],
    blades: { count: 9, velocityMmPerS: 0.4 },
    magneticPull: { supplyHz: 50, velocityMmPerS: 0.1 },
    noiseG: 0.035,
    resonances: [{ frequencyHz: 2600, dampingRatio: 0.05, gain: 0.9 }],
    bearing: BEARINGS[6313],
    impactG: 6,
  },
  // Extraction pauses between batches.
  duty: {
    runS: 840,
    stopS: 60,
    startUpS: 9,
    coastDownS: 35,
    meanLoad: 0.65,
    loadSwing: 0.12,
    loadPeriodS: 310,
    slip: 0.014,
  },
  thermal: { ambientCel: 26, loadRiseK: 20, speedRiseK: 7, frictionRiseK: 20, timeConstantS: 600 },
  ratedCurrentA: 41,
  // Dust builds up on the wheel and is cleaned off: visible after 20 minutes at speed 1.
  ageing: {
    fault: 'imbalance',
    cycle: { healthyHours: 300, growthHours: 700, failedHours: 100, repairHours: 8 },
  },
  process: ({ speedFraction, load, random }) => ({
    pressure: 1450 * speedFraction ** 2 * (1.1 - 0.3 * load) + 6 * random.gaussian(),
  }),
};

const gearbox: MachineSpec = {
  description: {
    id: 'gearbox-1',
    name: 'Mixer gearbox',
    area: 'mixing',
    line: 'mixer-1',
    class: 'gearbox',
    powerKw: 55,
    nominalRpm: 1485,
    shaftHeightMm: 225,
    support: 'rigid',
    gearTeeth: 23,
    bearings: [{ id: 'input', ...BEARINGS[6312] }],
    sensors: [accelerometer('input-radial', 'input')],
    metrics: [...COMMON_METRICS, { name: 'oil_temperature', unit: 'Cel', description: 'Oil sump', min: -40, max: 200 }],
    operatingState: RUNS_ABOVE_200_RPM,
  },
  sensor: 'input-radial',
  vibration: {
    nominalRpm: 1485,
    shaftHarmonicsMmPerS: [0.55, 0.3, 0.12],
    gear: { pinionTeeth: 23, wheelTeeth: 57, meshG: [0.22, 0.12, 0.05], pinionModulation: 0.25, wheelModulation: 0.12 },
    noiseG: 0.05,
    resonances: [
      { frequencyHz: 4100, dampingRatio: 0.04, gain: 0.7 },
      { frequencyHz: 8800, dampingRatio: 0.03, gain: 0.4 },
    ],
    bearing: BEARINGS[6312],
    impactG: 6,
  },
  duty: { runS: 0, stopS: 0, startUpS: 4, coastDownS: 8, meanLoad: 0.6, loadSwing: 0.25, loadPeriodS: 150, slip: 0.01 },
  thermal: { ambientCel: 26, loadRiseK: 30, speedRiseK: 10, frictionRiseK: 18, timeConstantS: 700 },
  ratedCurrentA: 98,
  process: ({ temperatureCel, random }) => ({ oil_temperature: temperatureCel - 6 + 0.1 * random.gaussian() }),
};

const motor: MachineSpec = {
  description: {
    id: 'motor-1',
    name: 'Compressor motor',
    area: 'utilities',
    line: 'compressed-air',
    class: 'motor',
    powerKw: 75,
    nominalRpm: 2975,
    shaftHeightMm: 250,
    support: 'rigid',
    bearings: [{ id: 'drive-end', ...BEARINGS[6314] }],
    sensors: [accelerometer('de-radial', 'drive-end')],
    metrics: [...COMMON_METRICS, { name: 'power', unit: 'kW', description: 'Electrical power', min: 0, max: 150 }],
    operatingState: RUNS_ABOVE_200_RPM,
  },
  sensor: 'de-radial',
  vibration: {
    nominalRpm: 2975,
    shaftHarmonicsMmPerS: [0.6, 0.25, 0.1],
    magneticPull: { supplyHz: 50, velocityMmPerS: 0.3 },
    noiseG: 0.05,
    resonances: [{ frequencyHz: 5200, dampingRatio: 0.04, gain: 0.9 }],
    bearing: BEARINGS[6314],
    impactG: 8,
  },
  duty: {
    runS: 0,
    stopS: 0,
    startUpS: 6,
    coastDownS: 25,
    meanLoad: 0.7,
    loadSwing: 0.18,
    loadPeriodS: 95,
    slip: 0.009,
  },
  thermal: { ambientCel: 24, loadRiseK: 32, speedRiseK: 8, frictionRiseK: 20, timeConstantS: 900 },
  ratedCurrentA: 128,
  // An inner race that starts to flake after an hour at speed 1.
  ageing: {
    fault: 'bearing-inner',
    cycle: { healthyHours: 1000, growthHours: 400, failedHours: 200, repairHours: 8 },
  },
  process: ({ load, speedFraction, random }) => ({
    power: speedFraction === 0 ? 0 : Math.max(0, (75 * load) / 0.945 + 2 + 0.3 * random.gaussian()),
  }),
};

const PRESS: PressModel = {
  closeS: 4,
  injectS: 6,
  cureS: 32,
  openS: 6,
  clampForceKn: 2500,
  injectionPressureBar: 160,
  holdPressureBar: 60,
  mouldSetpointCel: 175,
  mouldDropK: 8,
  heatingTimeConstantS: 12,
};

const press: MachineSpec = {
  description: {
    id: 'press-1',
    name: 'Rubber moulding press 1',
    area: 'moulding',
    line: 'press-line-1',
    class: 'press',
    powerKw: 30,
    nominalRpm: 1475,
    shaftHeightMm: 200,
    support: 'rigid',
    bearings: [{ id: 'hydraulic-pump', ...BEARINGS[6308] }],
    sensors: [accelerometer('hydraulic-pump', 'hydraulic-pump')],
    metrics: [
      ...COMMON_METRICS,
      { name: 'pressure', unit: 'bar', description: 'Injection pressure', min: 0, max: 400 },
      { name: 'mould_temperature', unit: 'Cel', description: 'Mould', min: -40, max: 300 },
      { name: 'clamp_force', unit: 'kN', description: 'Clamping force', min: 0, max: 10_000 },
      { name: 'cycle_count', unit: '1', description: 'Finished cycles since start', min: 0 },
    ],
    operatingState: RUNS_ABOVE_200_RPM,
  },
  sensor: 'hydraulic-pump',
  vibration: {
    nominalRpm: 1475,
    shaftHarmonicsMmPerS: [0.6, 0.3, 0.15],
    // Pistons of the hydraulic pump.
    blades: { count: 9, velocityMmPerS: 0.5 },
    noiseG: 0.07,
    resonances: [{ frequencyHz: 3900, dampingRatio: 0.05, gain: 0.8 }],
    bearing: BEARINGS[6308],
    impactG: 6,
  },
  duty: (elapsedS) => {
    const { hydraulicLoad } = pressAt(PRESS, elapsedS);
    return { speedFraction: 1 - 0.015 * hydraulicLoad, load: hydraulicLoad };
  },
  thermal: { ambientCel: 28, loadRiseK: 34, speedRiseK: 8, frictionRiseK: 18, timeConstantS: 800 },
  ratedCurrentA: 55,
  process: ({ elapsedS, random }) => {
    const { pressureBar, mouldTemperatureCel, clampForceKn, cycles } = pressAt(PRESS, elapsedS);
    return {
      pressure: Math.max(0, pressureBar + 0.4 * random.gaussian()),
      mould_temperature: mouldTemperatureCel + 0.15 * random.gaussian(),
      clamp_force: Math.max(0, clampForceKn + 3 * random.gaussian()),
      cycle_count: cycles,
    };
  },
};

/** The machines behind {@link demoPlant}, in its order. */
export const DEMO_MACHINES: readonly MachineSpec[] = [pump, fan, gearbox, motor, press];
