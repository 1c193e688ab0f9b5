import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';

/** What an adapter asks of its provider, by the types of the SDK: `client-s3 GetObject`, `keyvault-secrets SecretClient.getSecret`. */
export interface AdapterCalls {
  /** Of what the adapter itself reaches. */
  readonly used: ReadonlySet<string>;
  /** Of its files' clients, beside that: what a verification may use of them. */
  readonly others: ReadonlySet<string>;
}

/** A call, and the member of a port to the SDK, such as `KinesisCalls.put`, that it is made for. */
interface SdkCall {
  readonly operation: string;
  readonly member: ts.Declaration | undefined;
}

interface FileFacts {
  readonly calls: readonly SdkCall[];
  readonly imports: readonly string[];
  /** Members that it uses of others' objects. */
  readonly referenced: ReadonlySet<ts.Declaration>;
}

const SDK = /node_modules\/((?:@(?:aws-sdk|smithy|azure|google-cloud)\/)?[^/]+)\//;
const OF_SDKS = /^(@aws-sdk|@smithy|@azure|@google-cloud)\/|^(azure-|google-)/;
/** Calls over HTTP by the project's own function, where a service has no SDK for them. */
const OVER_HTTP = 'post-json.ts';

/** Whose rights are granted by a cloud's own service of them. */
const CLOUDS: ReadonlySet<string> = new Set(['aws', 'azure', 'gcp']);

/** The calls of each adapter of a cloud in those trees that loads an SDK, by its folder: `aws/s3-object-store` of the tree. */
export function adapterCalls(
  project: string,
  trees: readonly string[],
): ReadonlyMap<string, ReadonlyMap<string, AdapterCalls>> {
  const { config } = ts.readConfigFile(join(project, 'tsconfig.json'), (path) => ts.sys.readFile(path)) as {
    config: unknown;
  };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, project);
  const files = new Map(trees.map((tree) => [tree, filesBelow(join(tree, 'adapters'))]));
  const program = ts.createProgram([...files.values()].flat(), { ...options, noEmit: true });
  const facts = new Facts(program, project);
  return new Map(
    [...files].map(([tree, own]) => {
      const adapters = Map.groupBy(own, (file) => adapterOf(tree, file));
      adapters.delete(undefined);
      return [
        tree,
        new Map(
          [...adapters].flatMap(([adapter, ofAdapter]) => {
            const reached = facts.closure(ofAdapter);
            if (![...reached].some((file) => loadsSdk(file))) return [];
            return [
              [
                adapter!,
                callsOf(
                  adapter!,
                  [...reached].map((file) => facts.of(file)),
                ),
              ] as const,
            ];
          }),
        ),
      ];
    }),
  );
}

function callsOf(adapter: string, files: readonly FileFacts[]): AdapterCalls {
  const referenced = new Set(files.flatMap((file) => [...file.referenced]));
  const isUsed = ({ member }: SdkCall) => member === undefined || referenced.has(member);
  const calls = files.flatMap((file) => file.calls);
  const named = (some: readonly SdkCall[]) =>
    new Set(some.map(({ operation }) => (operation === OVER_HTTP ? `HTTP of ${adapter}` : operation)));
  const used = named(calls.filter(isUsed));
  return { used, others: named(calls.filter((call) => !isUsed(call))) };
}

/** What of each file counts, looked at once. */
class Facts {
  readonly #checker: ts.TypeChecker;
  readonly #program: ts.Program;
  readonly #project: string;
  readonly #known = new Map<string, FileFacts>();

  constructor(program: ts.Program, project: string) {
    this.#program = program;
    this.#project = project;
    this.#checker = program.getTypeChecker();
  }

  of(path: string): FileFacts {
    let facts = this.#known.get(path);
    if (!facts) this.#known.set(path, (facts = this.#look(path)));
    return facts;
  }

  /** The files and what they import of adapters, and so on. */
  closure(paths: readonly string[]): ReadonlySet<string> {
    const reached = new Set<string>();
    const waiting = [...paths];
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      if (reached.has(path)) continue;
      reached.add(path);
      waiting.push(...this.of(path).imports);
    }
    return reached;
  }

  #look(path: string): FileFacts {
    const file = this.#program.getSourceFile(path);
    if (!file) throw new Error(`${path} is not in the program`);
    const calls: SdkCall[] = [];
    const imports: string[] = [];
    const referenced = new Set<ts.Declaration>();
    const refer = (symbol: ts.Symbol | undefined) => {
      for (const declaration of symbol?.declarations ?? []) referenced.add(declaration);
    };
    const visit = (node: ts.Node): void => {
      const specifier = importedBy(node);
      const imported = specifier === undefined ? undefined : adapterFile(this.#project, path, specifier);
      if (imported !== undefined) imports.push(imported);
      if (ts.isCallExpression(node) || ts.isNewExpression(node)) {
        const operation = this.#operationOf(node);
        if (operation !== undefined) calls.push({ operation, member: this.#memberOf(node) });
      }
      if (ts.isPropertyAccessExpression(node)) refer(this.#checker.getSymbolAtLocation(node.name));
      if (ts.isBindingElement(node) && ts.isObjectBindingPattern(node.parent))
        refer(this.#checker.getTypeAtLocation(node.parent).getProperty((node.propertyName ?? node.name).getText()));
      ts.forEachChild(node, visit);
    };
    visit(file);
    return { calls, imports, referenced };
  }

  #operationOf(node: ts.CallExpression | ts.NewExpression): string | undefined {
    const declaration = this.#checker.getResolvedSignature(node)?.declaration;
    const file = declaration?.getSourceFile().fileName ?? '';
    if (file.endsWith(`/adapters/${OVER_HTTP}`)) return OVER_HTTP;
    const [, name = ''] = SDK.exec(file.slice(file.lastIndexOf('/node_modules/'))) ?? [];
    if (!declaration || !OF_SDKS.test(name)) return undefined;
    const service = name.slice(name.indexOf('/') + 1);
    if (ts.isNewExpression(node)) {
      const made = this.#checker.getTypeAtLocation(node).symbol.name;
      return made.endsWith('Command') ? `${service} ${made.slice(0, -'Command'.length)}` : `${service} new ${made}`;
    }
    const method = nameOf(declaration);
    const owner = nameOf(declaration.parent);
    const pages = /^paginate(\w+)$/.exec(owner);
    if (pages) return `${service} ${pages[1]}`;
    return `${service} ${[owner, method].filter((name) => name !== '').join('.')}`;
  }

  /** The outermost member, of an interface of adapters, that the call is in the implementation of. */
  #memberOf(node: ts.Node): ts.Declaration | undefined {
    let member: ts.Declaration | undefined;
    for (let each = node; !ts.isSourceFile(each); each = each.parent) {
      if (!ts.isPropertyAssignment(each) && !ts.isMethodDeclaration(each)) continue;
      const name = each.name.getText();
      const types = ts.isObjectLiteralExpression(each.parent)
        ? [this.#checker.getContextualType(each.parent)]
        : this.#implementedBy(each.parent);
      const found = types
        .flatMap((type) => (type?.isUnion() ? type.types : (type ?? [])))
        .flatMap((type) => type.getProperty(name)?.declarations ?? [])
        .find((declaration) => /\/adapters\/[^/]+(\/|\.ts$)/.test(declaration.getSourceFile().fileName));
      member = found ?? member;
    }
    return member;
  }

  #implementedBy(node: ts.Node): readonly ts.Type[] {
    if (!ts.isClassLike(node)) return [];
    const clauses = node.heritageClauses?.filter(({ token }) => token === ts.SyntaxKind.ImplementsKeyword) ?? [];
    return clauses.flatMap(({ types }) => types.map((type) => this.#checker.getTypeAtLocation(type)));
  }
}

function nameOf(node: ts.Node): string {
  return (node as { readonly name?: ts.PropertyName }).name?.getText() ?? '';
}

function importedBy(node: ts.Node): string | undefined {
  const specifier = ts.isImportDeclaration(node)
    ? node.moduleSpecifier
    : ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
      ? node.arguments[0]
      : undefined;
  return specifier && ts.isStringLiteral(specifier) ? specifier.text : undefined;
}

function adapterFile(project: string, importer: string, specifier: string): string | undefined {
  if (specifier.startsWith('#adapters/')) return join(project, specifier.slice(1));
  return specifier.startsWith('.') ? join(dirname(importer), specifier) : undefined;
}

function filesBelow(folder: string): readonly string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return files.filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts')).map((file) => join(folder, file));
}

function adapterOf(tree: string, file: string): string | undefined {
  const parts = relative(join(tree, 'adapters'), file).split('/');
  return CLOUDS.has(parts[0]!) && parts.length === 3 && parts[2] !== 'permissions.ts'
    ? parts.slice(0, 2).join('/')
    : undefined;
}

function loadsSdk(path: string): boolean {
  return readFileSync(path, 'utf8').includes('await loadSdk(');
}
