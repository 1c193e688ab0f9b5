import { OWN_SIMULATOR_SETTINGS } from '#services/edge-simulator/settings.ts';
import { COMMAND_SETTINGS } from './command-settings.ts';
import { settings, type Setting } from './settings.ts';

/** The text of `.env.example`: every setting with its meaning, commented out at its default. */
export function envExample(): string {
  const heading =
    '# Every setting of Tribo. Copy to .env in the folder that Tribo is started in, or set in the environment; flags win over the environment, the environment over .env, .env over tribo.yaml.';
  const simulator =
    '# Of a simulator that is started by itself (node services/edge-simulator/main.ts), which takes them from its environment and flags. The demo plant of the platform takes none of them.';
  const blocks = [
    ...[...Object.values<Setting>(settings), ...COMMAND_SETTINGS].map(block),
    ...[simulator, ...OWN_SIMULATOR_SETTINGS.map(block)],
  ];
  return [heading, ...blocks].join('\n\n') + '\n';
}

function block({ env, flag, schema, allowed, help, example = '' }: Setting): string {
  const value: unknown = schema.safeParse(undefined).data;
  const hasDefault = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
  return `# ${help} Allowed: ${allowed}. Flag: --${flag}\n# ${env}=${hasDefault ? String(value) : example}`;
}
