import { z } from 'zod';
import { machineRef, type MachineKey } from '../domain/ids.ts';
import { PortError } from '../errors.ts';
import { modelKey, type ModelDraft, type ModelRef, type ModelVersion } from '../ports/model-registry.ts';
import type { BaselineModel, IndicatorParameters } from './health-indicator.ts';
import { encodeOnnxModel, ONNX_OPSET, type OnnxGraph } from './onnx-model.ts';

/** The model of a sensor's health, by which it is registered. */
export const HEALTH_MODEL = 'vibration-health';
/** Version of the training and of the graph; part of every artifact. */
const HEALTH_MODEL_SOFTWARE = { name: 'tribo-health', version: '1.0.0' } as const;

export function healthModelRef(machine: MachineKey, sensor: string): ModelRef {
  return { name: HEALTH_MODEL, tenant: machineRef(machine).tenant, machine, sensor };
}

/**
 * The baseline as an ONNX graph over feature values as they are, in doubles, because a steady level's logarithm differs from its mean in the
 * last digits of single precision: deviations = (ln x - mean) / scale; score = mean(max(deviations, 0)), as `scoreVector` computes it.
 */
export function healthGraph(model: BaselineModel): OnnxGraph {
  const width = model.features.length;
  return {
    name: HEALTH_MODEL,
    description: 'Rise of band levels over a machine’s own healthy beginning, in its deviations',
    producer: HEALTH_MODEL_SOFTWARE,
    inputs: [{ name: 'features', type: 'float64', shape: ['batch', width] }],
    outputs: [
      { name: 'score', type: 'float64', shape: ['batch'] },
      { name: 'deviations', type: 'float64', shape: ['batch', width] },
    ],
    constants: [
      { name: 'mean', dims: [width], data: Float64Array.from(model.mean) },
      { name: 'scale', dims: [width], data: Float64Array.from(model.scale) },
    ],
    nodes: [
      { op: 'Log', inputs: ['features'], outputs: ['levels'] },
      { op: 'Sub', inputs: ['levels', 'mean'], outputs: ['rises'] },
      { op: 'Div', inputs: ['rises', 'scale'], outputs: ['deviations'] },
      { op: 'Relu', inputs: ['deviations'], outputs: ['exceedances'] },
      {
        op: 'ReduceMean',
        inputs: ['exceedances'],
        outputs: ['score'],
        attributes: { axes: { ints: [1] }, keepdims: { int: 0 } },
      },
    ],
    metadata: { features: model.features.join(','), trainedOn: String(model.trainedOn) },
  };
}

/** What a health model was trained on. */
export interface HealthTraining {
  readonly machine: MachineKey;
  readonly sensor: string;
  /** Times of the first and last feature set, milliseconds since 1970. */
  readonly fromMs: number;
  readonly toMs: number;
  /** Version of the software that computed the features. */
  readonly featuresSoftware: string;
}

/** The baseline ready to be registered. The same training gives the same bytes. */
export function healthDraft(model: BaselineModel, training: HealthTraining): ModelDraft {
  const { name, version } = HEALTH_MODEL_SOFTWARE;
  const parameters: HealthParameters = { decision: model.parameters, scale: model.scale };
  return {
    artifact: encodeOnnxModel(healthGraph(model)),
    format: 'onnx',
    inputs: model.features,
    parameters: { ...parameters },
    provenance: {
      trainedOn: `the first ${model.trainedOn} feature sets of ${training.machine} ${training.sensor} while running`,
      fromMs: training.fromMs,
      toMs: training.toMs,
      samples: model.trainedOn,
      software: `${name} ${version}, ONNX opset ${ONNX_OPSET}, features by ${training.featuresSoftware}`,
      metrics: { meanScale: model.scale.reduce((sum, each) => sum + each, 0) / model.scale.length },
    },
  };
}

/** What a registered health model says beside its graph. */
export interface HealthParameters {
  readonly decision: IndicatorParameters;
  /** Deviation of each input's logarithm, where the model is of logarithms: a deviation becomes a ratio by it. */
  readonly scale?: readonly number[] | undefined;
}

const healthParametersSchema = z.object({
  decision: z.object({
    baselineVectors: z.int().min(3).max(10_000),
    threshold: z.number().positive(),
    significantRatio: z.number().positive(),
    smoothing: z.int().min(1).max(101),
    clearAt: z.number().positive().max(1),
  }),
  scale: z.array(z.number().positive()).optional(),
});

/** @throws PortError failed_precondition when the version was registered by somebody who meant another kind of model. */
export function healthParameters({ model, version, parameters }: ModelVersion): HealthParameters {
  const parsed = healthParametersSchema.safeParse(parameters);
  if (parsed.success) return parsed.data;
  throw new PortError(
    'failed_precondition',
    `${modelKey(model)} version ${version} is no health model: ${firstIssue(parsed.error)}; roll back, or register it with its decision parameters`,
  );
}

/** What a health model's parameters lack; undefined when nothing. */
export function healthParametersProblem(parameters: ModelVersion['parameters']): string | undefined {
  const parsed = healthParametersSchema.safeParse(parameters);
  return parsed.success ? undefined : firstIssue(parsed.error);
}

function firstIssue({ issues: [issue] }: z.ZodError): string {
  return `parameters.${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`;
}
