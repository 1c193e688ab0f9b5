import { loadSdk } from '../../sdk.ts';
import { clientSettings } from '../aws-place.ts';
import type { SagemakerModelRegistryConfig } from './config.ts';

const PAGE = 100;

export interface PackageGroup {
  readonly name: string;
  readonly description: string;
}

export interface PackageSummary {
  readonly version: number;
  readonly arn: string;
  readonly description: string;
  readonly isApproved: boolean;
}

/** A model package that is to be. */
export interface PackageDraft {
  readonly description: string;
  readonly properties: Readonly<Record<string, string>>;
  /** Of the request: the service takes one that comes again for the same. */
  readonly token: string;
}

/** Whether a package may be deployed, and who said so. */
export interface PackageApproval {
  readonly isApproved: boolean;
  readonly why: string;
  /** Those that it has. */
  readonly properties: Readonly<Record<string, string>>;
}

/** The calls of SageMaker that the registry makes: each one attempt a page, throwing what the SDK throws. */
export interface PackageCalls {
  groups(nameContains: string, signal: AbortSignal): Promise<readonly PackageGroup[]>;
  describeGroup(name: string, signal: AbortSignal): Promise<PackageGroup>;
  createGroup(group: PackageGroup, signal: AbortSignal): Promise<void>;
  /** Newest first. */
  packages(group: string, signal: AbortSignal): Promise<readonly PackageSummary[]>;
  createPackage(group: string, draft: PackageDraft, signal: AbortSignal): Promise<string>;
  properties(arn: string, signal: AbortSignal): Promise<Readonly<Record<string, string>>>;
  approve(arn: string, approval: PackageApproval, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** The SDK is loaded here and nowhere else, so that a site without SageMaker never loads it. */
export async function openModelPackages(config: SagemakerModelRegistryConfig): Promise<PackageCalls> {
  const sdk = await loadSdk('AWS', () => import('@aws-sdk/client-sagemaker'));
  const client = new sdk.SageMakerClient(clientSettings(config));
  const InferenceSpecification = {
    Containers: [{ Image: config.image }],
    ...{ SupportedContentTypes: ['application/json'], SupportedResponseMIMETypes: ['application/json'] },
  };
  return {
    groups: async (NameContains, abortSignal) => {
      const found: PackageGroup[] = [];
      let NextToken: string | undefined;
      do {
        const asked = { NameContains, MaxResults: PAGE, ...(NextToken !== undefined && { NextToken }) };
        const page = await client.send(new sdk.ListModelPackageGroupsCommand(asked), { abortSignal });
        for (const group of page.ModelPackageGroupSummaryList ?? [])
          found.push({
            name: group.ModelPackageGroupName ?? '',
            description: group.ModelPackageGroupDescription ?? '',
          });
        NextToken = page.NextToken;
      } while (NextToken !== undefined);
      return found;
    },
    describeGroup: async (ModelPackageGroupName, abortSignal) => {
      const command = new sdk.DescribeModelPackageGroupCommand({ ModelPackageGroupName });
      const { ModelPackageGroupDescription: description = '' } = await client.send(command, { abortSignal });
      return { name: ModelPackageGroupName, description };
    },
    createGroup: async ({ name, description }, abortSignal) => {
      const group = { ModelPackageGroupName: name, ModelPackageGroupDescription: description };
      await client.send(new sdk.CreateModelPackageGroupCommand(group), { abortSignal });
    },
    packages: async (ModelPackageGroupName, abortSignal) => {
      const found: PackageSummary[] = [];
      let NextToken: string | undefined;
      do {
        const asked = { ModelPackageGroupName, MaxResults: PAGE, ...(NextToken !== undefined && { NextToken }) };
        const page = await client.send(new sdk.ListModelPackagesCommand(asked), { abortSignal });
        for (const each of page.ModelPackageSummaryList ?? [])
          found.push({
            version: each.ModelPackageVersion ?? 0,
            arn: each.ModelPackageArn ?? '',
            description: each.ModelPackageDescription ?? '',
            isApproved: each.ModelApprovalStatus === 'Approved',
          });
        NextToken = page.NextToken;
      } while (NextToken !== undefined);
      return found.sort((left, right) => right.version - left.version);
    },
    createPackage: async (ModelPackageGroupName, { description, properties, token }, abortSignal) => {
      const command = new sdk.CreateModelPackageCommand({
        ...{ ModelPackageGroupName, InferenceSpecification, ClientToken: token },
        ...{ ModelPackageDescription: description, CustomerMetadataProperties: { ...properties } },
        ModelApprovalStatus: 'PendingManualApproval',
      });
      return (await client.send(command, { abortSignal })).ModelPackageArn ?? '';
    },
    properties: async (ModelPackageName, abortSignal) => {
      const command = new sdk.DescribeModelPackageCommand({ ModelPackageName });
      return (await client.send(command, { abortSignal })).CustomerMetadataProperties ?? {};
    },
    approve: async (ModelPackageArn, { isApproved, why, properties }, abortSignal) => {
      const command = new sdk.UpdateModelPackageCommand({
        ...{ ModelPackageArn, ApprovalDescription: why },
        ModelApprovalStatus: isApproved ? 'Approved' : 'PendingManualApproval',
        CustomerMetadataProperties: { ...properties },
      });
      await client.send(command, { abortSignal });
    },
    close: () => client.destroy(),
  };
}
