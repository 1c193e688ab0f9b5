import type { Command } from 'commander';
import type { CreatedToken, SignInLink, TokenView } from '#services/api-gateway/schemas/access.ts';
import { ROLES } from '#core/domain/role.ts';
import { allItems } from './all-items.ts';
import { count, listOf } from './arguments.ts';
import type { Action } from './main.ts';
import { instant, table } from './output.ts';

/** `tribo token ...`: bearer tokens for API clients, and one-time sign-in links for people. */
export function addTokenCommands(program: Command, action: Action): void {
  const token = program.command('token').description('tokens for API clients, sign-in links for people');

  token
    .command('create <name>')
    .description('make a bearer token; it is shown once')
    .option('--role <roles>', `${ROLES.join(', ')}; several with commas`, listOf(ROLES), 'viewer')
    .option('--days <days>', 'how long it is valid', count, 90)
    .action(
      action(async ({ api, out }, name: string, options: { role: string; days: number }) => {
        const created = await api().request<CreatedToken>('POST', '/v1/tokens', {
          name,
          roles: options.role.split(','),
          lifetimeDays: options.days,
        });
        out.result(created, () => created.token);
      }),
    );

  token
    .command('list')
    .description('all tokens, without their secrets')
    .action(
      action(async ({ api, out }) => {
        out.result(await allItems<TokenView>(api(), '/v1/tokens'), (items) =>
          table(
            ['id', 'name', 'roles', 'expires', 'revoked'],
            items.map((each) => [
              each.id,
              each.name,
              each.roles.join(','),
              instant(each.expiresMs),
              String(each.revoked),
            ]),
          ),
        );
      }),
    );

  token
    .command('revoke <id>')
    .description('refuse a token from now on')
    .action(
      action(async ({ api, out }, id: string) => {
        await api().request('DELETE', `/v1/tokens/${encodeURIComponent(id)}`);
        out.result({ id }, () => `${id} is revoked`);
      }),
    );

  token
    .command('sign-in <person>')
    .description('make a one-time sign-in link for the page')
    .option('--role <roles>', `${ROLES.join(', ')}; several with commas`, listOf(ROLES), 'operator')
    .action(
      action(async ({ api, out }, subject: string, options: { role: string }) => {
        const link = await api().request<SignInLink>('POST', '/v1/sign-in-links', {
          subject,
          roles: options.role.split(','),
        });
        out.result(link, () => link.url);
      }),
    );
}
