import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { z } from 'zod';
import { isName } from '#core/domain/ids.ts';
import { machineSchema } from '#core/domain/plant.ts';
import { PortError } from '#core/errors.ts';
import { systemErrorCode } from '../system-error.ts';
import { timestampParser } from './timestamp-format.ts';

const text = z.string().min(1);

/** How the columns of delimited text become readings. Written as YAML; services/edge-simulator/README.md has an example. */
export const csvMappingSchema = z.strictObject({
  /** Glob of the files beneath the folder. */
  files: text.default('**/*.csv'),
  delimiter: z.string().length(1).default(','),
  /** Names of the columns of files whose first line is data already. */
  header: z.array(text).min(1).max(10_000).optional(),
  timestamp: z
    .strictObject({
      column: text,
      format: text.default('rfc3339'),
      utcOffset: z.string().optional(),
      counterStepS: z.number().positive().optional(),
      counterOrigin: z.string().optional(),
    })
    .superRefine((format, context) => {
      try {
        timestampParser(format);
      } catch (error) {
        context.addIssue({ code: 'custom', message: (error as Error).message });
      }
    }),
  /** Name of the machine; `{column}` stands for a column's value, `{file}` and `{folder}` for the names of file and folder. */
  machine: text,
  /** True when the rows of one machine stand together and each machine's times begin anew: each is a recording of its own. */
  blocks: z.boolean().default(false),
  /** What each column is: its metric and UCUM unit. */
  columns: z
    .record(
      z.string(),
      z.strictObject({ metric: z.string().refine(isName, 'must be a name'), unit: z.string().max(32) }),
    )
    .refine((columns) => Object.keys(columns).length > 0, 'must name at least one column'),
  /** Columns that are no readings. A column that is neither here nor above is an error: it may have been forgotten. */
  ignore: z.array(text).max(10_000).default([]),
  /** Cells that say there is no value; such a reading is left out. */
  missing: z.array(z.string()).max(100).default(['', 'NaN', 'nan', 'NA', 'N/A', 'null', 'NULL']),
  /** What every machine is. */
  machineClass: machineSchema.shape.class.default('other'),
});

export type CsvMapping = z.infer<typeof csvMappingSchema>;
/** As {@link CsvMapping}, with defaults left out. */
export type CsvMappingInput = z.input<typeof csvMappingSchema>;

/** @throws PortError not_found, or invalid_argument that names the field. */
export async function readCsvMapping(path: string): Promise<CsvMapping> {
  let content: unknown;
  try {
    content = parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') {
      throw new PortError('not_found', `the mapping file ${path} is not there: name it with --mapping`, {
        cause: error,
      });
    }
    const [reason] = (error as Error).message.split('\n');
    throw new PortError('invalid_argument', `the mapping file ${path} cannot be read as YAML: ${reason ?? ''}`, {
      cause: error,
    });
  }
  const result = csvMappingSchema.safeParse(content);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path: field, message }) => `${field.join('.') || 'the file'} ${message}`);
  throw new PortError('invalid_argument', `the mapping file ${path} is not right: ${problems.join('; ')}`);
}

/** Columns whose values are in the machine's name. */
export function machineColumns(mapping: CsvMapping): string[] {
  return placeholders(mapping.machine).filter((name) => name !== 'file' && name !== 'folder');
}

function placeholders(template: string): string[] {
  return [...template.matchAll(/\{([^}]+)\}/g)].map((match) => match[1]!);
}
