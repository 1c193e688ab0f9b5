import { runService } from '#services/shared/process/run-service.ts';
import { composeSimulator } from './composition.ts';
import { parseSimulatorConfig, simulatorHelp, SimulatorConfigError, type SimulatorProcessOptions } from './config.ts';

/** Exit code of a wrong configuration, as sysexits.h has it. */
const EX_CONFIG = 78;

const args = process.argv.slice(2);
if (args.includes('--help')) {
  process.stdout.write(simulatorHelp());
} else {
  const options = parse();
  if (options) await runService('edge-simulator', () => composeSimulator(options));
}

function parse(): SimulatorProcessOptions | undefined {
  try {
    return parseSimulatorConfig(args, process.env);
  } catch (error) {
    if (!(error instanceof SimulatorConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = EX_CONFIG;
    return undefined;
  }
}
