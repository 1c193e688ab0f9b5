import { existsSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import type { Configuration } from '#services/shared/config/settings.ts';
import { formatOf, refuseHalfImported, refuseNewerFormat } from '#services/shared/process/data-format.ts';
import { CommandError } from './output.ts';

/**
 * The data folder of a command that copies it, in some form, into another folder. @throws CommandError where there is none, or the other is
 * inside of it, DataFolderError where a newer Tribo wrote it, or it is half imported.
 */
export function dataFolderToCopy({ dataDir }: Pick<Configuration, 'dataDir'>, into: string): string {
  const folder = resolve(dataDir);
  const format = existsSync(folder) ? formatOf(folder) : undefined;
  if (format === undefined)
    throw new CommandError('not-found', `${folder} is no data folder of Tribo`, 'name it with --data-dir');
  refuseNewerFormat(folder, format);
  refuseHalfImported(folder);
  if (`${into}${sep}`.startsWith(`${folder}${sep}`))
    throw new CommandError('usage', `${into} is inside the data folder`, 'name a folder elsewhere');
  return folder;
}
