import type { z } from 'zod';
import { PortError } from '#core/errors.ts';

/** Reads a JSON document of the gateway's. @throws PortError data_loss that says where it is and what to do. */
export function readDocument<Content>(
  text: string,
  schema: z.ZodType<Content>,
  where: string,
  remedy: string,
): Content {
  const parsed = schema.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  throw new PortError('data_loss', `${where} cannot be read; ${remedy}`);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
