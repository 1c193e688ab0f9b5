import { BEARING_LIMITS } from '../domain/plant.ts';

/** A rolling bearing as its catalogue page gives it; what its defect frequencies follow from. */
export interface BearingGeometry {
  /** Name of this bearing on its machine, for instance `drive-end`; appears in feature names and chart marks. */
  readonly id?: string | undefined;
  /** Catalogue designation, for instance `6205`; informative. */
  readonly designation?: string | undefined;
  /** Number of rolling elements (n). */
  readonly elements: number;
  /** Diameter of a rolling element (d), in millimetres. */
  readonly elementDiameterMm: number;
  /** Pitch diameter, the circle of the elements' centres (D), in millimetres. */
  readonly pitchDiameterMm: number;
  /** Contact angle (phi), in degrees; 0 when absent, as in a deep-groove ball bearing under radial load. */
  readonly contactAngleDeg?: number | undefined;
}

/** Kinematic defect frequencies, in multiples of the shaft's rotation or, from {@link defectFrequenciesHz}, in hertz. */
export interface DefectFrequencies {
  /** Ball pass frequency of the outer race. */
  readonly bpfo: number;
  /** Ball pass frequency of the inner race. */
  readonly bpfi: number;
  /** Ball spin frequency; a defect on a ball strikes both races and so usually shows at twice this. */
  readonly bsf: number;
  /** Fundamental train (cage) frequency. */
  readonly ftf: number;
}

/**
 * Defect frequencies of a bearing with a fixed outer race, as multiples of the shaft's rotation frequency:
 * BPFO = n/2 (1 - r), BPFI = n/2 (1 + r), BSF = D/(2d) (1 - r^2), FTF = (1 - r)/2, with r = d/D cos(phi).
 *
 * @throws RangeError when the geometry is not that of a bearing.
 */
export function defectOrders(bearing: BearingGeometry): DefectFrequencies {
  const { elements, elementDiameterMm, pitchDiameterMm, contactAngleDeg = 0 } = bearing;
  const { minElements, maxElements, belowContactAngleDeg } = BEARING_LIMITS;
  if (!Number.isInteger(elements) || elements < minElements || elements > maxElements) {
    throw new RangeError(`elements must be a whole number from ${minElements} to ${maxElements}, got ${elements}`);
  }
  if (!(elementDiameterMm > 0 && pitchDiameterMm > elementDiameterMm && Number.isFinite(pitchDiameterMm))) {
    throw new RangeError(
      `elementDiameterMm must be above 0 and below pitchDiameterMm, got ${elementDiameterMm} and ${pitchDiameterMm}`,
    );
  }
  if (!(contactAngleDeg >= 0 && contactAngleDeg < belowContactAngleDeg)) {
    throw new RangeError(`contactAngleDeg must be from 0 to below ${belowContactAngleDeg}, got ${contactAngleDeg}`);
  }
  const ratio = (elementDiameterMm / pitchDiameterMm) * Math.cos((contactAngleDeg * Math.PI) / 180);
  return {
    bpfo: (elements / 2) * (1 - ratio),
    bpfi: (elements / 2) * (1 + ratio),
    bsf: (pitchDiameterMm / (2 * elementDiameterMm)) * (1 - ratio * ratio),
    ftf: (1 - ratio) / 2,
  };
}

/** {@link defectOrders} in hertz at a shaft speed in revolutions per minute. */
export function defectFrequenciesHz(bearing: BearingGeometry, rpm: number): DefectFrequencies {
  const orders = defectOrders(bearing);
  const shaftHz = rpm / 60;
  return {
    bpfo: orders.bpfo * shaftHz,
    bpfi: orders.bpfi * shaftHz,
    bsf: orders.bsf * shaftHz,
    ftf: orders.ftf * shaftHz,
  };
}
