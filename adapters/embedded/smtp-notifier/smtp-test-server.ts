import { createServer, type AddressInfo, type Socket } from 'node:net';

export interface SmtpTestServer {
  readonly url: string;
  /** Mails as they came, headers and body, dot-stuffing undone. */
  readonly mails: string[];
  /** Commands as they came, without the mails' content. */
  readonly commands: string[];
  /** Answers by command verb that take the place of the usual ones; `''` answers nothing. */
  readonly answers: Map<string, string>;
  close(): Promise<void>;
}

/** As much of RFC 5321 as a client needs to hand over a mail, on loopback. */
export async function startSmtpTestServer(): Promise<SmtpTestServer> {
  const mails: string[] = [];
  const commands: string[] = [];
  const answers = new Map<string, string>();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    converse(socket, { mails, commands, answers });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    mails,
    commands,
    answers,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

const USUAL: Readonly<Record<string, string>> = {
  CONNECT: '220 test.example ESMTP',
  EHLO: '250-test.example\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME',
  AUTH: '235 welcome',
  DATA: '354 go on',
  QUIT: '221 bye',
  MAIL: '250 ok',
  RCPT: '250 ok',
  CONTENT: '250 taken',
};

function converse(
  socket: Socket,
  { mails, commands, answers }: Pick<SmtpTestServer, 'mails' | 'commands' | 'answers'>,
) {
  const answer = (verb: string): string => {
    const text = answers.get(verb) ?? USUAL[verb] ?? '502 unknown';
    if (text !== '') socket.write(`${text}\r\n`);
    return text;
  };
  let pending = '';
  let mail: string[] | undefined;
  answer('CONNECT');
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (pending + chunk).split('\r\n');
    pending = lines.pop() ?? '';
    for (const line of lines) {
      if (mail && line === '.') {
        if (answer('CONTENT').startsWith('2')) mails.push(mail.join('\n'));
        mail = undefined;
      } else if (mail) {
        mail.push(line.startsWith('.') ? line.slice(1) : line);
      } else {
        commands.push(line);
        const verb = line.slice(0, 4).toUpperCase();
        if (answer(verb).startsWith('354')) mail = [];
        if (verb === 'QUIT') socket.end();
      }
    }
  });
}
