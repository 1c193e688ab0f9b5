// The whole platform as a process, as each service has one: `tribo start`, with its flags.
process.argv.splice(2, 0, 'start');
await import('./cli/main.ts');
