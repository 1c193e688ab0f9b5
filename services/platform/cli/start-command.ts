import type { Command } from 'commander';
import type { Action } from './main.ts';

/** `tribo start`: the whole platform; returns when it has stopped. */
export function addStartCommand(program: Command, action: Action, withSettings: (command: Command) => Command): void {
  const start = program.command('start').description('start the whole platform on this machine');
  withSettings(start).action(
    action(async ({ configuration, out }, _options: unknown, _command: Command) => {
      const { runPlatform } = await import('../run-platform.ts');
      await runPlatform(configuration(), out);
    }),
  );
}
