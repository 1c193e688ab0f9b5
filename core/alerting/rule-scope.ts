import { machineRef, type MachineKey } from '../domain/ids.ts';
import type { Machine } from '../domain/plant.ts';
import type { VersionedRule } from '../domain/rule.ts';

/** Whether a rule is meant for a machine. A machine whose description is not known matches no rule that asks for classes. */
export function appliesTo({ tenant, rule }: VersionedRule, key: MachineKey, machine: Machine | undefined): boolean {
  if (!rule.enabled) return false;
  const ref = machineRef(key);
  if (ref.tenant !== tenant) return false;
  const { machines, classes, sites } = rule.appliesTo;
  if (machines && !machines.some((pattern) => matches(pattern, ref.machine))) return false;
  if (sites && !sites.some((pattern) => matches(pattern, ref.site))) return false;
  return !classes || (machine !== undefined && classes.includes(machine.class));
}

/** A name against a pattern in which `*` stands for any characters. Linear: no backtracking, whatever somebody writes. */
export function matches(pattern: string, name: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return pattern === name;
  if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length) return false;
  let at = first.length;
  const end = name.length - last.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
