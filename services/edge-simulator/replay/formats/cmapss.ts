import { csvMappingSchema } from '../csv-mapping.ts';
import { openCsvSource } from '../csv-source.ts';
import type { ReplaySource, SourceOptions } from '../source.ts';

/** The 21 sensors in the order of the files, after Saxena et al., PHM 2008, table 2. */
const SENSORS = [
  ['t2', '[degR]'],
  ['t24', '[degR]'],
  ['t30', '[degR]'],
  ['t50', '[degR]'],
  ['p2', '[psi]'],
  ['p15', '[psi]'],
  ['p30', '[psi]'],
  ['nf', '/min'],
  ['nc', '/min'],
  ['epr', '1'],
  ['ps30', '[psi]'],
  ['phi', '[lb_av]/s/[psi]'],
  ['nrf', '/min'],
  ['nrc', '/min'],
  ['bpr', '1'],
  ['far_b', '1'],
  ['ht_bleed', '1'],
  ['nf_dmd', '/min'],
  ['pcnfr_dmd', '/min'],
  ['w31', '[lb_av]/s'],
  ['w32', '[lb_av]/s'],
] as const;

const SETTINGS = ['setting_1', 'setting_2', 'setting_3'] as const;

const MAPPING = csvMappingSchema.parse({
  files: '{train,test}_FD*.txt',
  delimiter: ' ',
  header: ['unit', 'cycle', ...SETTINGS, ...SENSORS.map(([name]) => name)],
  // A flight has no length of its own here: ten minutes keep the longest life within the week that live data may be old.
  timestamp: { column: 'cycle', format: 'counter', counterStepS: 600, counterOrigin: '2008-01-01T00:00:00Z' },
  machine: '{file}-{unit}',
  blocks: true,
  columns: Object.fromEntries<{ metric: string; unit: string }>([
    ...SETTINGS.map((name) => [name, { metric: name, unit: '1' }] as const),
    ...SENSORS.map(([name, unit]) => [name, { metric: name, unit }] as const),
  ]),
  machineClass: 'engine',
});

/** NASA's turbofan run-to-failure simulations: one row a flight, ten minutes apart here. One machine an engine. */
export function openCmapss(options: SourceOptions): Promise<ReplaySource> {
  const machinePrefix = options.machinePrefix ?? 'cmapss-';
  return openCsvSource({ ...options, machinePrefix, mapping: MAPPING, plantName: 'C-MAPSS turbofans' });
}
