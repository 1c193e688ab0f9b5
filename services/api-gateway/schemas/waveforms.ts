import { z } from 'zod';
import { commaListSchema, instantQuerySchema, nameSchema, siteQuerySchema } from './common.ts';
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

export const spectrumSchema = z
  .object({
    kind: z.enum(['amplitude', 'envelope']),
    unit: z.string(),
    frequencyStepHz: z.number().meta({ description: 'Line k is at k times this' }),
    mergedLines: z
      .int()
      .meta({ description: 'How many lines of the transform one line stands for; 1: none were merged' }),
    amplitudes: z.array(z.number()).meta({ description: 'Peak amplitude of a tone at each line, in `unit`' }),
    marks: z
      .array(spectrumMarkSchema)
      .meta({ description: 'Shaft and bearing defect frequencies; empty when the speed is unknown' }),
    provenance: z.record(z.string(), z.unknown()).meta({
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

export type WaveformList = z.infer<typeof waveformListSchema>;
export type SpectrumView = z.infer<typeof spectrumSchema>;
export type Spectra = z.infer<typeof spectraSchema>;
