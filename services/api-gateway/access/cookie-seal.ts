import { createHmac, timingSafeEqual } from 'node:crypto';
import { cookieKey, type CookieKeyOptions, type CookieKeyStores } from './cookie-key.ts';

/** What a cookie of one purpose says is nothing in one of another. */
type Purpose = 'session' | 'csrf' | 'sign-in';

/** Signs what browsers keep, with a key from the secret store: it outlives a restart, and any replica can read it. */
export class CookieSeal {
  readonly #key: Buffer;

  /** All copies of the gateway have one key. @throws PortError as {@link cookieKey}. */
  static async open(stores: CookieKeyStores, options: CookieKeyOptions): Promise<CookieSeal> {
    return new CookieSeal(await cookieKey(stores, options));
  }

  private constructor(key: Buffer) {
    this.#key = key;
  }

  /** The value of a cookie that whoever has it can read, and nobody can change. */
  seal(purpose: Purpose, content: object): string {
    const text = Buffer.from(JSON.stringify(content)).toString('base64url');
    return `${text}.${this.mac(purpose, text)}`;
  }

  /** What was sealed for that purpose; undefined where it was not. */
  unseal(purpose: Purpose, cookie: string): unknown {
    const [text, mac, rest] = cookie.split('.', 3);
    if (text === undefined || mac === undefined || rest !== undefined || !this.isMac(purpose, text, mac))
      return undefined;
    return JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  }

  mac(purpose: Purpose, text: string): string {
    return this.#mac(purpose, text).toString('base64url');
  }

  isMac(purpose: Purpose, text: string, sent: string): boolean {
    const expected = this.#mac(purpose, text);
    const given = Buffer.from(sent, 'base64url');
    return given.length === expected.length && timingSafeEqual(given, expected);
  }

  #mac(purpose: Purpose, text: string): Buffer {
    return createHmac('sha256', this.#key).update(`${purpose}:${text}`).digest();
  }
}
