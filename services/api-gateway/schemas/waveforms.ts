import { z } from 'zod';
import { commaListSchema, instantQuerySchema, nameSchema, siteQuerySchema } from './common.ts';
import { operatingStateSchema } from './machines.ts';
import { waveformMetadataSchema } from './telemetry.ts';

export const waveformListQuerySchema = z.object({
  site: siteQuerySchema,
  sensor: nameSchema.optional(),
  from: instantQuerySchema.optional(),
  to: instantQuerySchema.optional(),
  limit: z.coerce.number().int().min(1).max(500).default(50),
  cursor: z.string().max(1024).optional(),
});

export const waveformListSchema = z
  .object({ items: z.array(waveformMetadataSchema), nextCursor: z.string().optional() })
  .meta({ id: 'WaveformList', description: 'Newest first' });

export const waveformQueryForOneSchema = z.object({
  maxSamples: z.coerce.number().int().min(0).max(65_536).default(0).meta({
    description:
      'How many samples the JSON carries at most, from the beginning; 0: none. With `Accept: application/octet-stream` the whole samples come as they were sent.',
  }),
});

export const waveformSchema = z
  .object({
    ...waveformMetadataSchema.shape,
    samples: z.array(z.number()).optional().meta({ description: 'The first `maxSamples`, in the unit' }),
  })
  .meta({ id: 'Waveform' });

export const spectrumQuerySchema = z.object({
  kind: commaListSchema(z.enum(['amplitude', 'envelope']), 2).default(['amplitude', 'envelope']),
  maxLines: z.coerce.number().int().min(100).max(200_000).default(20_000).meta({
    description: 'Lines at most; above it, neighbouring lines are merged into one that keeps their highest amplitude',
  }),
});

export const spectrumMarkSchema = z
  .object({
    kind: z.enum(['shaft', 'bpfo', 'bpfi', '2xbsf', 'ftf']),
    bearing: z.string().optional().meta({ description: 'Id of the bearing; absent for shaft marks' }),
    harmonic: z.int(),
    sideband: z.int().meta({ description: '0: the harmonic itself' }),
    label: z.string().meta({ examples: ['BPFO x2 -1'] }),
    frequencyHz: z.number().meta({ description: 'Where kinematics puts it' }),
    toleranceHz: z.number().meta({ description: 'Half the width that was searched for slip' }),
    foundHz: z.number(),
    foundAmplitude: z.number(),
  })
  .meta({ id: 'SpectrumMark' });

const provenanceSchema = z.looseObject({
  rpm: z.number().optional().meta({ description: 'Shaft speed that was used, in r/min' }),
  rpmSource: z.enum(['waveform', 'reading', 'machine', 'unknown']).optional().meta({
    description:
      'Who told the speed: the waveform, the machine’s reading `rpm` at about that time, or its nominal speed',
  }),
  rpmReadAtMs: z.number().optional().meta({ description: 'Time of that reading' }),
});

export const spectrumSchema = z
  .object({
    kind: z.enum(['amplitude', 'envelope']),
    unit: z.string(),
    frequencyStepHz: z.number().meta({ description: 'Line k is at k times this' }),
    mergedLines: z
      .int()
      .meta({ description: 'How many lines of the transform one line stands for; 1: none were merged' }),
    amplitudes: z.array(z.number()).meta({ description: 'Peak amplitude of a tone at each line, in `unit`' }),
    marks: z.array(spectrumMarkSchema).meta({ description: 'Shaft and bearing defect frequencies' }),
    unmarked: z
      .array(z.object({ kind: z.enum(['shaft', 'bearing']), reason: z.string() }))
      .meta({ description: 'Why the shaft or a bearing’s defect has no mark' }),
    provenance: provenanceSchema.meta({
      description:
        'What it was computed with: software version, parameters, speed and its source, envelope band, scaling',
    }),
  })
  .meta({ id: 'Spectrum' });

export const spectraSchema = z
  .object({
    waveform: waveformMetadataSchema,
    spectra: z.array(spectrumSchema).meta({ description: 'One for each kind asked for, in that order' }),
  })
  .meta({ id: 'Spectra' });

const boundaryMmPerS = z.number().meta({ description: 'mm/s' });

export const isoVerdictSchema = z
  .discriminatedUnion('verdict', [
    z.object({
      verdict: z.enum(['A', 'B', 'C', 'D']),
      velocityRmsMmPerS: z.number(),
      group: z.union([z.literal(1), z.literal(2)]),
      support: z.enum(['rigid', 'flexible']),
      boundaries: z.object({ abMmPerS: boundaryMmPerS, bcMmPerS: boundaryMmPerS, cdMmPerS: boundaryMmPerS }),
      bandHz: z.array(z.number()).meta({ description: 'From, to' }),
      basis: z.string().meta({ description: 'The table and what it assumes' }),
    }),
    z.object({
      verdict: z.literal('none'),
      codes: z.array(z.string()).meta({ examples: [['record_too_short', 'unknown_support']] }),
      reason: z.string().meta({ description: 'Every reason why there is no zone, in one sentence' }),
    }),
  ])
  .meta({ id: 'IsoVerdict', description: 'The zone of ISO 20816-3, or why there is none. Nothing is guessed.' });

export const waveformFeaturesSchema = z
  .object({
    waveform: waveformMetadataSchema,
    isoZone: isoVerdictSchema,
    operatingState: operatingStateSchema,
    values: z
      .record(z.string(), z.number())
      .meta({ description: 'By name, as in the machine’s series; empty while they are not computed' }),
    units: z.record(z.string(), z.string()).meta({ description: 'UCUM codes of the values' }),
    problems: z.array(z.string()).meta({ description: 'Parts of the machine’s description that could not be used' }),
    provenance: provenanceSchema.meta({ description: 'What they were computed with' }),
  })
  .meta({ id: 'WaveformFeatures' });

export type IsoVerdict = z.infer<typeof isoVerdictSchema>;
export type WaveformFeaturesView = z.infer<typeof waveformFeaturesSchema>;
export type WaveformList = z.infer<typeof waveformListSchema>;
export type SpectrumView = z.infer<typeof spectrumSchema>;
export type Spectra = z.infer<typeof spectraSchema>;
