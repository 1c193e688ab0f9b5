import { csvMappingSchema } from '../csv-mapping.ts';
import { openCsvSource } from '../csv-source.ts';
import type { ReplaySource, SourceOptions } from '../source.ts';

const MAPPING = csvMappingSchema.parse({
  files: 'data/*/*.csv',
  timestamp: { column: 'timestamp', format: 'yyyy-MM-dd HH:mm:ss' },
  machine: '{folder}-{file}',
  columns: { value: { metric: 'value', unit: '1' } },
  machineClass: 'process',
});

/** The two series of the corpus whose unit is known. */
const FAHRENHEIT = /(ambient|machine)_temperature_system_failure\.csv$/;

/** Numenta Anomaly Benchmark: single-valued series, mostly one value in five minutes. One machine a series; labels are left out. */
export function openNab(options: SourceOptions): Promise<ReplaySource> {
  return openCsvSource({
    ...options,
    machinePrefix: options.machinePrefix ?? 'nab-',
    mapping: MAPPING,
    plantName: 'Numenta Anomaly Benchmark',
    describe: (_machine, path) => (FAHRENHEIT.test(path) ? { metrics: [{ name: 'value', unit: '[degF]' }] } : {}),
  });
}
