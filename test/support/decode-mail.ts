/** Headers as they are, the body out of its transfer encoding. */
export function decodeMail(mail: string): string {
  const end = mail.indexOf('\n\n');
  const headers = mail.slice(0, end);
  const body = mail.slice(end + 2);
  if (/^Content-Transfer-Encoding: base64$/im.test(headers))
    return `${headers}\n\n${Buffer.from(body, 'base64').toString()}`;
  if (!/^Content-Transfer-Encoding: quoted-printable$/im.test(headers)) return mail;
  const bytes = body
    .replaceAll(/=\n/g, '')
    .replaceAll(/=([0-9A-F]{2})/g, (_match, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return `${headers}\n\n${Buffer.from(bytes, 'latin1').toString()}`;
}
