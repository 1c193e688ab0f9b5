import { ContainerModule, type ResolutionContext } from 'inversify';
import type { z } from 'zod';
import type { DescribeConnection } from '#core/ports/device-gateway.ts';
import type { Notifier } from '#core/ports/notifier.ts';
import type { Verification, VerificationTools } from '#core/contracts/verification.ts';
import { portToken, type BoundPorts, type GetPort, type PortName } from '#core/ports/tokens.ts';

/** Ports of one provider, each opened when it is first asked for, once a process. */
export interface ProviderModule {
  readonly module: ContainerModule;
  /** Closes what was opened, last opened first. */
  close(): Promise<void>;
}

/** What a module binds its ports with. */
export interface Binding {
  readonly provide: <Name extends PortName>(
    name: Name,
    open: (get: GetPort) => BoundPorts[Name] | Promise<BoundPorts[Name]>,
  ) => void;
  /** Notes a part that is to be closed with the module. */
  readonly closing: <Part extends { close(): unknown }>(part: Part) => Part;
}

/** An adapter that a site may choose for a port. */
export interface Offer {
  readonly port: PortName;
  readonly adapter: string;
  /** Whether it joins what else the port has, instead of taking its place: a channel of notifications. */
  readonly isOneOfSeveral?: boolean;
  /** What it is for by its settings, each in words, where no two of the port may be for the same. */
  readonly aloneFor?: (settings: unknown) => readonly string[];
  /** By port the one adapter that it works with. */
  readonly needs?: Readonly<Partial<Record<PortName, string>>>;
  /** Of a gateway that devices reach elsewhere than at the platform's own broker. */
  readonly describeConnection?: (settings: unknown) => DescribeConnection;
  /** Of the adapter's section in the site's configuration. */
  readonly schema: z.ZodType;
  /** Binds the port to it, with settings as its schema gave them. */
  bind(binding: Binding, settings: unknown): void;
  /** How `tribo verify` runs its contracts against what is deployed, with such settings; absent where it cannot. */
  readonly verify?: (settings: unknown, tools: VerificationTools) => Promise<Verification>;
}

/** Loads what runs the contracts, which no service needs. */
type Verify<Schema extends z.ZodType> = (settings: z.output<Schema>, tools: VerificationTools) => Promise<Verification>;

/** Makes an offer of what opens the adapter; its SDK is loaded no sooner than that. */
export function provide<Name extends PortName, Schema extends z.ZodType>(
  port: Name,
  adapter: string,
  schema: Schema,
  open: (
    settings: z.output<Schema>,
    tools: Pick<Binding, 'closing'> & { readonly get: GetPort },
  ) => Promise<BoundPorts[Name]>,
  verify?: Verify<Schema>,
): Offer {
  return {
    ...{ port, adapter, schema },
    ...(verify && { verify: (settings, tools) => verify(settings as z.output<Schema>, tools) }),
    bind: ({ provide: bindPort, closing }, settings) =>
      bindPort(port, (get) => open(settings as z.output<Schema>, { closing, get })),
  };
}

/** What a verification says of a notifier. */
interface NotifierVerified<Settings> {
  /** Who or what is told. */
  readonly target: (settings: Settings) => string;
  /** What the role must be allowed to do for it, in the words of the provider. */
  readonly needs: (settings: Settings) => string;
}

/** Makes an offer of a notifier, which a site has besides its others. */
export function provideNotifier<Schema extends z.ZodType>(
  adapter: string,
  schema: Schema,
  open: (settings: z.output<Schema>) => Promise<Notifier>,
  verified: NotifierVerified<z.output<Schema>>,
): Offer {
  const offer = provide(
    'notifiers',
    adapter,
    schema,
    async (settings, { closing }) => [closing(await open(settings))],
    async (settings, tools) =>
      (await import('./notifier-verification.ts')).notifierVerification(() => open(settings), tools, {
        target: verified.target(settings),
        needs: verified.needs(settings),
      }),
  );
  return { ...offer, isOneOfSeveral: true };
}

export function providerModule(bindAll: (binding: Binding) => void): ProviderModule {
  const closers: (() => unknown)[] = [];
  const closing = <Part extends { close(): unknown }>(part: Part): Part => {
    closers.push(() => part.close());
    return part;
  };
  const module = new ContainerModule(({ bind }) => {
    bindAll({
      provide: (name, open) =>
        void bind(portToken(name))
          .toDynamicValue((context) => open(getter(context)))
          .inSingletonScope(),
      closing,
    });
  });
  return {
    module,
    close: async () => {
      for (const close of closers.splice(0).reverse()) await close();
    },
  };
}

function getter(context: ResolutionContext): GetPort {
  return (name) => context.getAsync(portToken(name));
}
