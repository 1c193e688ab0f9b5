import { csvMappingSchema } from '../csv-mapping.ts';
import { openCsvSource } from '../csv-source.ts';
import type { ReplaySource, SourceOptions } from '../source.ts';

const MAPPING = csvMappingSchema.parse({
  files: '*/*.csv',
  delimiter: ';',
  timestamp: { column: 'datetime', format: 'yyyy-MM-dd HH:mm:ss' },
  machine: '{folder}-{file}',
  columns: {
    Accelerometer1RMS: { metric: 'acceleration_1_rms', unit: 'g' },
    Accelerometer2RMS: { metric: 'acceleration_2_rms', unit: 'g' },
    Current: { metric: 'current', unit: 'A' },
    Pressure: { metric: 'pressure', unit: 'bar' },
    Temperature: { metric: 'temperature', unit: 'Cel' },
    Thermocouple: { metric: 'fluid_temperature', unit: 'Cel' },
    Voltage: { metric: 'voltage', unit: 'V' },
    'Volume Flow RateRMS': { metric: 'flow', unit: 'L/min' },
  },
  ignore: ['anomaly', 'changepoint'],
  machineClass: 'pump',
});

/** Skoltech Anomaly Benchmark: a water loop with a pump and two valves, 1 Hz. One machine an experiment, as each file begins anew; labels are left out. */
export function openSkab(options: SourceOptions): Promise<ReplaySource> {
  const machinePrefix = options.machinePrefix ?? 'skab-';
  return openCsvSource({ ...options, machinePrefix, mapping: MAPPING, plantName: 'SKAB water loop' });
}
