/** A statement of a policy of IAM, or of a resource. */
export interface Statement {
  readonly Sid?: string;
  readonly Effect: 'Allow' | 'Deny';
  readonly Principal?: '*' | Readonly<Record<string, string | readonly string[]>>;
  readonly Action: string | readonly string[];
  /** Absent where a role says who may take it. */
  readonly Resource?: string | readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

/** The document; tokens in it are resolved like those of any attribute. */
export function policy(statements: readonly Statement[]): string {
  return JSON.stringify({ Version: '2012-10-17', Statement: statements });
}

/** Lets a service of AWS take a role, on behalf of this account alone where the service says whose behalf that is. */
export function trust(service: string, account?: string): string {
  return JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: { Service: service },
        Action: 'sts:AssumeRole',
        ...(account !== undefined && { Condition: { StringEquals: { 'aws:SourceAccount': account } } }),
      },
    ],
  });
}

/** Text with `${...}` that is meant for the service: Terraform leaves it alone. Tokens of CDKTF stay tokens. */
export function verbatim(text: string): string {
  return text.replace(/\$\{(?!TfToken\[)/g, '$$${');
}
