import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { z } from 'zod';
import { messageOf } from '#core/errors.ts';
import { ConfigurationError } from './load.ts';

/** What the file has to know of an adapter that a site may choose for a port. */
export interface Offered {
  readonly port: string;
  readonly adapter: string;
  readonly schema: z.ZodType;
}

/** An adapter that the site has chosen, with its settings as the adapter's schema gives them. */
export interface Chosen<Offer extends Offered> {
  readonly offer: Offer;
  readonly settings: unknown;
}

/**
 * Reads which ports a site has from elsewhere than this machine: a YAML or JSON file with a section a port, each with the name of its adapter
 * and that adapter's settings. @throws ConfigurationError that lists everything that is wrong or missing.
 */
export function loadPortsFile<Offer extends Offered>(path: string, offers: readonly Offer[]): readonly Chosen<Offer>[] {
  const sections = Object.entries(readSections(path));
  const problems: string[] = [];
  const chosen = sections.flatMap(([port, section]) => {
    const ofPort = offers.filter((each) => each.port === port);
    if (ofPort.length === 0) {
      const ports = [...new Set(offers.map((each) => each.port))].join(', ');
      problems.push(`${path}: ${port} is no port with an adapter to choose; there are ${ports}`);
      return [];
    }
    const { adapter, ...settings } = isMapping(section) ? section : {};
    const match = ofPort.find((each) => each.adapter === adapter);
    if (!match) {
      const names = ofPort.map((each) => each.adapter).join(', ');
      problems.push(`${path}: ${port}.adapter must be one of ${names}, got ${JSON.stringify(adapter)}`);
      return [];
    }
    const parsed = match.schema.safeParse(settings);
    if (parsed.success) return [{ offer: match, settings: parsed.data }];
    for (const issue of parsed.error.issues)
      problems.push(`${path}: ${[port, ...issue.path.map(String)].join('.')}: ${issue.message} (${match.adapter})`);
    return [];
  });
  if (problems.length > 0) throw new ConfigurationError(problems);
  return chosen;
}

function readSections(path: string): Readonly<Record<string, unknown>> {
  let content: unknown;
  try {
    content = parse(readFileSync(path, 'utf8'), { merge: true });
  } catch (error) {
    throw new ConfigurationError([`TRIBO_PORTS_FILE ${path} cannot be read: ${messageOf(error)}`]);
  }
  if (isMapping(content)) return content;
  throw new ConfigurationError([`${path} must be a mapping from ports to the adapters that they have`]);
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
