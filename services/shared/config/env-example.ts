import { settings, type Setting } from './settings.ts';

/** The text of `.env.example`: every setting with its meaning, commented out at its default. */
export function envExample(): string {
  const blocks = Object.values(settings).map((setting: Setting) => {
    const value: unknown = setting.schema.safeParse(undefined).data;
    const shown =
      typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
        ? String(value)
        : (setting.example ?? '');
    return `# ${setting.help} Allowed: ${setting.allowed}. Flag: --${setting.flag}\n# ${setting.env}=${shown}\n`;
  });
  return `# Every setting of Tribo. Copy to .env in the folder that Tribo is started in, or set in the environment; flags win over the environment, the environment over .env, .env over tribo.yaml.\n\n${blocks.join('\n')}`;
}
