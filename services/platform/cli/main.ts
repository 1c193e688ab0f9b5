import { resolve } from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import { ConfigurationError, loadConfiguration } from '#services/shared/config/load.ts';
import { settings, type Configuration, type Setting, type SettingKey } from '#services/shared/config/settings.ts';
import { addAlarmCommands } from './alarm-commands.ts';
import { apiClient, type ApiClient } from './api-client.ts';
import { addAuditCommand } from './audit-command.ts';
import { addBackupCommands } from './backup-commands.ts';
import { addDecideCommand } from './decide-command.ts';
import { addDeviceCommands } from './device-commands.ts';
import { addDoctorCommand } from './doctor-command.ts';
import { EXAMPLES } from './examples.ts';
import { loadEnvFile } from './env-file.ts';
import { addExportCommand } from './export-command.ts';
import { addLedgerCommands } from './ledger-commands.ts';
import { addMachineCommands } from './machine-commands.ts';
import { addModelCommands } from './model-commands.ts';
import { CommandError, EXIT_CODES, EXIT_CODES_HELP, fail, output, type Output } from './output.ts';
import { addPlantCommands } from './plant-commands.ts';
import { addRawCommand } from './raw-command.ts';
import { addReplayCommands } from './replay-commands.ts';
import { addRuleCommands } from './rule-commands.ts';
import { addSiteCommands } from './site-commands.ts';
import { addSimulateCommand } from './simulate-command.ts';
import { addStartCommand } from './start-command.ts';
import { addTokenCommands } from './token-commands.ts';
import { addVerifyCommand } from './verify-command.ts';

/** What every command gets: the parsed configuration, a client of the running platform, and where to print. */
export interface CommandContext {
  readonly configuration: () => Configuration;
  readonly api: () => ApiClient;
  readonly out: Output;
}

/** Wraps a command's action: resolves the context, prints errors in one form, sets the exit code. */
export type Action = <Arguments extends unknown[]>(
  run: (context: CommandContext, ...given: Arguments) => Promise<void>,
) => (...given: Arguments) => Promise<void>;

/** Known before the rest is parsed, so that what cannot be parsed is told in the form that was asked for. */
const isJson = process.argv.includes('--json');

const program = new Command('tribo')
  .description('Predictive maintenance for rotating machines: run the platform, feed it, ask it.')
  .option('--json', 'print results and errors as JSON', false)
  .option('--url <address>', 'API of the platform (default: the one that runs on the data folder; TRIBO_URL)')
  .option('--token <token>', 'bearer token for it (TRIBO_TOKEN)')
  .option('--config <file>', 'settings as YAML (default: tribo.yaml where it is there; TRIBO_CONFIG)')
  .option('--data-dir <folder>', settings.dataDir.help)
  .addHelpText('after', `\n${EXIT_CODES_HELP}`)
  .configureHelp({ showGlobalOptions: true })
  // Its errors are told as all others are, below; where no command is named its help is one, too.
  .configureOutput({ outputError: () => undefined, ...(isJson && { writeErr: () => undefined }) })
  .exitOverride();

// A reader that has seen enough, as `head` has, ends a command without a word; a platform goes on without whoever read its banner.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    if (program.args[0] !== 'start') process.exit();
  });
}

const action: Action =
  (run) =>
  async (...given) => {
    const global = program.opts<{ json: boolean; url?: string; token?: string; config?: string; dataDir?: string }>();
    const configuration = () =>
      loadConfiguration({
        env: process.env,
        flags: { ...settingFlags(given), ...(global.dataDir === undefined ? {} : { dataDir: global.dataDir }) },
        ...(global.config === undefined ? {} : { file: global.config }),
      });
    const api = () => {
      const { dataDir, tlsCaFile } = configuration();
      return apiClient({
        dataDir,
        caFile: tlsCaFile === undefined ? undefined : resolve(tlsCaFile),
        ...(global.url === undefined ? {} : { url: global.url }),
        ...(global.token === undefined ? {} : { token: global.token }),
      });
    };
    try {
      loadEnvFile('.env', process.env);
      await run({ configuration, api, out: output(global.json) }, ...given);
    } catch (error) {
      fail(error instanceof ConfigurationError ? new CommandError('configuration', error.message) : error, global.json);
    }
  };

addStartCommand(program, action, settingOptions);
addReplayCommands(program, action);
addSimulateCommand(program, action);
addPlantCommands(program, action);
addMachineCommands(program, action);
addDeviceCommands(program, action);
addRuleCommands(program, action);
addAlarmCommands(program, action);
addModelCommands(program, action);
addLedgerCommands(program, action);
addTokenCommands(program, action);
addAuditCommand(program, action);
addBackupCommands(program, action);
addExportCommand(program, action);
addSiteCommands(program, action);
addRawCommand(program, action);
addDoctorCommand(program, action);
addVerifyCommand(program, action);
addDecideCommand(program, action);
for (const command of program.commands) {
  const lines = EXAMPLES[command.name()] ?? [];
  command.addHelpText('afterAll', () => `\nExamples:\n${lines.map((line) => `  npx ${line}`).join('\n')}`);
}

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  if (error.exitCode !== 0) tellUsageError(error);
}

function tellUsageError({ code, message }: CommanderError): void {
  // Without a command commander has shown what there is.
  if (code === 'commander.help' && !isJson) process.exitCode = EXIT_CODES.usage;
  else {
    const what = code === 'commander.help' ? 'no command was given' : message.replace(/^error: /, '');
    fail(new CommandError('usage', what, 'tribo --help shows what there is'), isJson);
  }
}

/** One option a setting, so that `--help` lists them; parsing and checking stay with the schema. */
function settingOptions(command: Command): Command {
  for (const [key, setting] of Object.entries(settings) as [SettingKey, Setting][]) {
    if (key === 'dataDir') continue;
    const fallback: unknown = setting.schema.safeParse(undefined).data;
    const isSwitch = typeof fallback === 'boolean';
    const form = isSwitch ? (fallback ? `--no-${setting.flag}` : `--${setting.flag}`) : `--${setting.flag} <value>`;
    const shown = typeof fallback === 'string' || typeof fallback === 'number' ? ` (default: ${fallback})` : '';
    command.addOption(
      new Option(
        form,
        `${isSwitch && fallback ? 'Turns this off: ' : ''}${setting.help}${shown} [${setting.env}]`,
      ).default(undefined),
    );
  }
  return command;
}

/** The options object of a command is the last argument but one; only settings are taken from it. */
function settingFlags(given: readonly unknown[]): Partial<Record<SettingKey, unknown>> {
  const options = given.at(-2);
  if (typeof options !== 'object' || options === null) return {};
  return Object.fromEntries(
    Object.entries(options).filter(([key, value]) => Object.hasOwn(settings, key) && value !== undefined),
  );
}
