/** The port under which the API gateway offers to the process that started it what is not for everybody with a token. */
export const GATEWAY_PORT = 'api-gateway';

export interface ServedGateway {
  /** A one-time link for the first administrator; each call makes a new one. */
  signInLink(): Promise<string>;
}
