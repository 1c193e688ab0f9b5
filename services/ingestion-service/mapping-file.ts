import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { ZodError } from 'zod';
import { TopicMapping } from '#core/ingestion/mapping.ts';
import { PortError } from '#core/errors.ts';

/** Reads a site's mapping file. @throws PortError failed_precondition that names the file, the field, and what it takes. */
export function loadMapping(path: string): TopicMapping {
  try {
    return new TopicMapping(parse(readFileSync(path, 'utf8')));
  } catch (error) {
    const problems =
      error instanceof ZodError
        ? error.issues.map((issue) => `${issue.path.join('.') || 'the file'}: ${issue.message}`).join('; ')
        : (error as Error).message;
    const remedy = 'correct it, or TRIBO_MAPPING_FILE or --mapping-file';
    throw new PortError('failed_precondition', `mapping file ${path}: ${problems}; ${remedy}`, { cause: error });
  }
}
