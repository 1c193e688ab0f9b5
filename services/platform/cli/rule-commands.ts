import type { Command } from 'commander';
import { stringify } from 'yaml';
import type { RuleView } from '#services/api-gateway/schemas/rules.ts';
import { allItems } from './all-items.ts';
import { readDescription, sendDescription, type DescribedFile } from './described-file.ts';
import type { Action } from './main.ts';
import { CommandError, instant, table } from './output.ts';

/** `tribo rule ...`: rules are versioned data; a change takes effect without a restart. */
export function addRuleCommands(program: Command, action: Action): void {
  const rule = program
    .command('rule')
    .description('rules: list, show, put (environments/rule-example.yaml is one), delete');
  const path = (id: string) => `/v1/rules/${encodeURIComponent(id)}`;

  rule
    .command('list')
    .description('all rules')
    .action(
      action(async ({ api, out }) => {
        out.result(await allItems<RuleView>(api(), '/v1/rules'), (items) =>
          table(
            ['rule', 'version', 'kind', 'changed', 'by'],
            items.map((each) => [
              each.id,
              String(each.version),
              each.rule.kind,
              instant(each.updatedMs),
              each.updatedBy,
            ]),
          ),
        );
      }),
    );

  rule
    .command('show <id>')
    .description('one rule as YAML')
    .action(
      action(async ({ api, out }, id: string) => {
        const stored = await api().request<RuleView>('GET', path(id));
        out.result(stored, () => stringify(stored.rule).trimEnd());
      }),
    );

  rule
    .command('put <id> <file>')
    .description('create or change a rule from a YAML or JSON file (environments/rule-example.yaml is one)')
    .action(
      action(async ({ api, out }, id: string, file: string) => {
        const described = namedRule(readDescription(file), id);
        const client = api();
        const current = await client.request<RuleView>('GET', path(id)).catch((error: unknown) => {
          if (error instanceof CommandError && error.kind === 'not-found') return undefined;
          throw error;
        });
        const condition: Record<string, string> = current
          ? { 'if-match': `"${current.version}"` }
          : { 'if-none-match': '*' };
        const stored = await sendDescription(described, (body) =>
          client.request<RuleView>('PUT', path(id), body, condition),
        );
        out.result(stored, () => `${stored.id} is at version ${stored.version}, in force now`);
      }),
    );

  rule
    .command('delete <id>')
    .description('take a rule out of force')
    .action(
      action(async ({ api, out }, id: string) => {
        const current = await api().request<RuleView>('GET', path(id));
        await api().request('DELETE', path(id), undefined, { 'if-match': `"${current.version}"` });
        out.result({ id }, () => `${id} is no longer in force`);
      }),
    );
}

/** The file's rule with the id of the command, which the file may leave out. @throws CommandError where it has another. */
export function namedRule(file: DescribedFile, id: string): DescribedFile {
  const { value } = file;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return file;
  if (!('id' in value)) return { ...file, value: { ...value, id } };
  if (value.id === id) return file;
  throw new CommandError(
    'data',
    `${file.path}:${file.lineOf('/id')}: id: the rule is ${String(value.id)}, but the command names ${id}`,
    'leave the id out of the file, or name the same in both',
  );
}
