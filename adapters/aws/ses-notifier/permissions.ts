import type { Grant } from '../../permissions.ts';

/** SendEmail of a whole mail asks for both. https://docs.aws.amazon.com/ses/latest/dg/control-user-access.html */
export const sesNotifierPermissions: readonly Grant[] = [
  { actions: ['ses:SendEmail', 'ses:SendRawEmail'], on: 'arn:aws:ses:<region>:*:identity/*' },
  {
    actions: ['ses:SendEmail', 'ses:SendRawEmail'],
    on: 'arn:aws:ses:<region>:*:configuration-set/<configurationSet>',
    note: 'where there is one',
  },
];
