import { startHttpReceiver } from './http-receiver.ts';

/**
 * How what is behind the proxy seems to be: as it is, out of order, hanging, or gone from behind its balancer. An SDK of AWS that runs in Jest does
 * not know what errors of Node's sockets mean, as they are of another realm; that they are `unavailable` is held by aws-errors.test.ts.
 */
export type Seeming = 'well' | 'failing' | 'hanging' | 'gone';

export interface FaultProxy extends AsyncDisposable {
  readonly url: string;
  seem: (how: Seeming) => void;
}

/** A server on loopback that hands requests on to another one's address, and can be told to answer 503 or nothing instead. */
export async function startFaultProxy(target: string): Promise<FaultProxy> {
  let seeming: Seeming = 'well';
  const receiver = await startHttpReceiver((request, response, body) => {
    if (seeming === 'hanging') return;
    if (seeming !== 'well') {
      response.writeHead(seeming === 'failing' ? 503 : 502).end();
      return;
    }
    const headers = new Headers();
    for (const [name, value] of Object.entries(request.headers))
      if (!['host', 'connection', 'content-length', 'expect'].includes(name)) headers.set(name, String(value));
    const { method = 'GET', url = '/' } = request;
    void fetch(`${target}${url}`, { method, headers, ...(body.length > 0 && { body }) }).then(async (answer) => {
      const bytes = Buffer.from(await answer.arrayBuffer());
      const given = [...answer.headers].filter(([name]) => !['content-length', 'connection'].includes(name));
      response.writeHead(answer.status, Object.fromEntries(given)).end(bytes);
    });
  });
  return {
    url: receiver.url,
    seem: (how) => {
      seeming = how;
    },
    [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
  };
}
