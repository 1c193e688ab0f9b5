/** As much of a browser as signing in needs: cookies by origin, redirects one at a time, and forms. */
export class FormBrowser {
  readonly #cookies = new Map<string, Map<string, string>>();

  async visit(url: URL | string, form?: Readonly<Record<string, string>>): Promise<Visited> {
    const { origin } = new URL(url);
    const jar = this.#cookies.get(origin) ?? new Map<string, string>();
    this.#cookies.set(origin, jar);
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: [...jar].map((pair) => pair.join('=')).join('; ') },
      ...(form && { method: 'POST', body: new URLSearchParams(form) }),
    });
    for (const cookie of response.headers.getSetCookie()) keep(jar, cookie);
    const location = response.headers.get('location');
    const { status } = response;
    return { status, text: await response.text(), to: location === null ? undefined : new URL(location, url) };
  }

  /** Signs in by the provider's own forms, as `nobody` gives up there, and stops where it would go back to: that is the answer. */
  async answerOf(begin: URL, person: string): Promise<URL> {
    const issuer = begin.origin;
    let visited = await this.visit(begin);
    for (let step = 0; step < MAX_STEPS; step++) {
      if (visited.to && visited.to.origin !== issuer) return visited.to;
      if (visited.to) {
        visited = await this.visit(visited.to);
        continue;
      }
      const { action, prompt } = formIn(visited.text);
      const place = new URL(action, issuer);
      visited =
        person === 'nobody'
          ? await this.visit(`${place.href}/abort`)
          : await this.visit(place, { prompt, login: person, password: 'any' });
    }
    throw new Error(`the provider goes on asking: ${visited.text}`);
  }

  cookie(origin: string, name: string): string | undefined {
    return this.#cookies.get(origin)?.get(name);
  }

  /** Another browser with the same cookies. */
  copy(): FormBrowser {
    const copied = new FormBrowser();
    for (const [origin, jar] of this.#cookies) copied.#cookies.set(origin, new Map(jar));
    return copied;
  }
}

export interface Visited {
  readonly status: number;
  readonly text: string;
  /** Where a redirect leads to. */
  readonly to: URL | undefined;
}

const MAX_STEPS = 20;

function keep(jar: Map<string, string>, cookie: string): void {
  const [pair = '', ...attributes] = cookie.split(/; */);
  const name = pair.slice(0, pair.indexOf('='));
  const value = pair.slice(name.length + 1);
  if (value === '' || attributes.some((each) => /^max-age=0$/i.test(each))) jar.delete(name);
  else jar.set(name, value);
}

function formIn(html: string): { readonly action: string; readonly prompt: string } {
  const action = /<form[^>]* action="([^"]+)"/.exec(html)?.[1];
  const prompt = /name="prompt" value="([^"]+)"/.exec(html)?.[1];
  if (action === undefined || prompt === undefined) throw new Error(`there is no form: ${html}`);
  return { action, prompt };
}
