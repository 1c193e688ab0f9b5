import { settings, type Configuration, type SettingKey } from '#services/shared/config/settings.ts';

/** The configuration as a child's environment, so that parent and child agree whatever it came from. */
export function childEnvironment(configuration: Configuration): Record<string, string> {
  const given = (Object.keys(settings) as SettingKey[]).map((key) => [settings[key].env, configuration[key]] as const);
  return Object.fromEntries(
    given.filter(([, value]) => value !== undefined).map(([name, value]) => [name, String(value)]),
  );
}
