/**
 * Loaded into a process before its program (`node --import`): its wall clock, and that of its children, is ahead of the machine's by the
 * milliseconds in the file that SHIFTED_CLOCK names, from the moment it is changed. The monotonic clock goes on, as when somebody sets the clock.
 */
import { readFileSync } from 'node:fs';

const LOOK_EVERY_MS = 20;

const path = process.env['SHIFTED_CLOCK'] ?? '';
const machineNow = Date.now.bind(Date);
let shiftMs = 0;
look();
setInterval(look, LOOK_EVERY_MS).unref();

Date.now = () => machineNow() + shiftMs;
globalThis.Date = new Proxy(Date, {
  construct: (target, given, newTarget) =>
    Reflect.construct(target, given.length === 0 ? [Date.now()] : given, newTarget) as Date,
  apply: () => new Date().toString(),
});

function look(): void {
  try {
    shiftMs = Number(readFileSync(path, 'utf8'));
  } catch {
    // While the file is being replaced the clock stays as it is.
  }
}
