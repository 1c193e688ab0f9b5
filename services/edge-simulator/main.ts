import { parseSimulatorConfig, simulatorHelp, SimulatorConfigError } from './config.ts';
import { startSimulator } from './composition.ts';

/** Exit code of a wrong configuration, as sysexits.h has it. */
const EX_CONFIG = 78;

const args = process.argv.slice(2);
if (args.includes('--help')) {
  process.stdout.write(simulatorHelp());
} else {
  await run();
}

async function run(): Promise<void> {
  try {
    const simulator = await startSimulator(parseSimulatorConfig(args, process.env));
    const stop = (): void => void simulator.stop().then(() => process.exit(0));
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
  } catch (error) {
    if (!(error instanceof SimulatorConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = EX_CONFIG;
  }
}
