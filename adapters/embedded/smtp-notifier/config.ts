import { z } from 'zod';

export const smtpNotifierConfigSchema = z.object({
  name: z.string().min(1).max(64).default('mail'),
  /** `smtp://` or `smtps://`, with user and password where the server wants them. */
  url: z.url({ protocol: /^smtps?$/ }),
  from: z.email(),
  to: z.array(z.email()).min(1).max(50),
  /** The origin of the page, for links. */
  publicUrl: z.url().optional(),
  timeoutMs: z.int().min(100).max(60_000).default(20_000),
});

export type SmtpNotifierConfig = z.infer<typeof smtpNotifierConfigSchema>;
