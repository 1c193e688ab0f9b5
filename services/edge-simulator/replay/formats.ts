import { PortError } from '#core/errors.ts';
import { readCsvMapping } from './csv-mapping.ts';
import { openCsvSource } from './csv-source.ts';
import { openCmapss } from './formats/cmapss.ts';
import { openCwru } from './formats/cwru.ts';
import { openNab } from './formats/nab.ts';
import { openPronostia } from './formats/pronostia.ts';
import { openSkab } from './formats/skab.ts';
import type { ReplaySource, SourceOptions } from './source.ts';

export const REPLAY_FORMATS = ['pronostia', 'cwru', 'skab', 'nab', 'cmapss', 'csv'] as const;
export type ReplayFormat = (typeof REPLAY_FORMATS)[number];

export interface ReplaySourceOptions extends SourceOptions {
  readonly format: ReplayFormat;
  /** Path of the mapping file; for `csv`, and only there. */
  readonly mapping?: string | undefined;
}

/**
 * Opens recordings: checks the files, and finds their machines and times.
 *
 * @throws PortError not_found, invalid_argument or data_loss; the message names file, place and remedy.
 */
export async function openReplaySource({ format, mapping, ...options }: ReplaySourceOptions): Promise<ReplaySource> {
  if (format === 'csv') {
    if (mapping === undefined) {
      throw new PortError(
        'invalid_argument',
        'the format csv needs a mapping file: name it with --mapping (services/edge-simulator/README.md has an example)',
      );
    }
    return openCsvSource({ ...options, mapping: await readCsvMapping(mapping), plantName: 'Recordings' });
  }
  if (mapping !== undefined) {
    throw new PortError(
      'invalid_argument',
      `the format ${format} has its own mapping: leave --mapping out, or use --format csv`,
    );
  }
  return READERS[format](options);
}

const READERS: Readonly<Record<Exclude<ReplayFormat, 'csv'>, (options: SourceOptions) => Promise<ReplaySource>>> = {
  pronostia: openPronostia,
  cwru: openCwru,
  skab: openSkab,
  nab: openNab,
  cmapss: openCmapss,
};
