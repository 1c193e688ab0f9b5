import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { ConfigurationError } from '#services/shared/config/load.ts';

/**
 * Adds the variables of the file to an environment, where the file is there; what the environment has already wins.
 * @throws ConfigurationError where the file cannot be read, or a line of it is no `NAME=value`.
 */
export function loadEnvFile(path: string, env: Record<string, string | undefined>): void {
  const text = readIfThere(path);
  const values = parseEnv(text);
  const inValues = Object.values(values).join('\n');
  for (const [index, line] of text.split('\n').entries()) {
    const content = line.trim();
    // A value in quotes may go over several lines.
    if (
      content === '' ||
      /^(#|(export\s+)?[\w.-]+\s*=)/.test(content) ||
      inValues.includes(content.replace(/["'`]$/, ''))
    )
      continue;
    // It may be a secret that lost its name: it is not shown.
    throw new ConfigurationError([`${path}, line ${index + 1} is no "NAME=value" and no comment: correct it`]);
  }
  for (const [name, value] of Object.entries(values)) env[name] ??= value;
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return '';
    throw new ConfigurationError([`${path} cannot be read (${code}): make it readable, or move it away`]);
  }
}
