import { z } from 'zod';
import type { Setting } from './settings.ts';

const given = z.string().min(1).optional();

/** What commands read besides the settings of the platform: where those are, and which platform to talk to. */
export const COMMAND_SETTINGS: readonly Setting[] = [
  {
    env: 'TRIBO_CONFIG',
    flag: 'config',
    schema: given,
    allowed: 'the path of a YAML file',
    help: 'File with settings by their keys, in place of tribo.yaml.',
    example: 'tribo.yaml',
  },
  {
    env: 'TRIBO_URL',
    flag: 'url',
    schema: given,
    allowed: 'an http or https address',
    help: 'API that commands talk to; without it, that of the platform that runs on the data folder.',
    example: 'https://tribo.plant.example:8443',
  },
  {
    env: 'TRIBO_TOKEN',
    flag: 'token',
    schema: given,
    allowed: 'a bearer token, as "tribo token create" makes it',
    help: 'What commands sign in with there.',
    example: 'eyJhbGciOi...',
  },
];
