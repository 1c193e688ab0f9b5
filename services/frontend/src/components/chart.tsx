import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import { number, time } from '../format.ts';

export interface ChartMark {
  readonly at: number;
  readonly label: string;
  readonly kind: string;
}

export interface ChartProps {
  readonly title: string;
  readonly xUnit: 'time' | 'Hz';
  readonly yUnit: string;
  /** What the quantity says of a machine. */
  readonly meaning?: string | undefined;
  /** What is said beside the title; absent parts are left out. */
  readonly note?: readonly (string | undefined)[];
  readonly xs: readonly number[];
  readonly ys: readonly number[];
  readonly marks?: readonly ChartMark[];
  readonly heightPx?: number;
  /** By default as far as there are points. */
  readonly xRange?: readonly [number, number];
}

/** A line chart on a canvas. What it shows is said in text for those who cannot see it. */
export function Chart({ title, meaning, xUnit, yUnit, note = [], xs, ys, marks, heightPx = 180, xRange }: ChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const shownMarks = useRef<readonly ChartMark[]>([]);
  const range = useRef<readonly [number, number] | undefined>(undefined);
  shownMarks.current = marks ?? [];
  const toScale = xUnit === 'time' ? 0.001 : 1;
  const [from, to] = xRange ?? [];
  range.current = from === undefined || to === undefined ? undefined : [from * toScale, to * toScale];

  useEffect(() => {
    const element = host.current;
    if (!element) return undefined;
    const style = getComputedStyle(element);
    const ink = style.getPropertyValue('--ink-soft');
    const grid = { stroke: style.getPropertyValue('--line'), width: 1 };
    const font = '11px system-ui';
    const axis = { stroke: ink, grid, ticks: grid, font, labelFont: font, labelSize: 14, labelGap: 0 };
    const created = new uPlot(
      {
        width: element.clientWidth,
        height: heightPx,
        legend: { show: false },
        cursor: { drag: { x: true, y: false } },
        scales: {
          x: { time: xUnit === 'time', range: (_plot, min, max) => [...(range.current ?? [min, max])] },
          y: { range: valueRange },
        },
        axes: [
          xUnit === 'time'
            ? { ...axis, size: X_AXIS_PX, values: timeLabels, incrs: TIME_STEPS_S, space: 52 }
            : { ...axis, size: X_AXIS_PX, label: xUnit },
          { ...axis, size: 64, values: valueLabels, ...(yUnit !== '' && { label: yUnit }) },
        ],
        series: [
          {},
          {
            stroke: style.getPropertyValue('--accent'),
            width: 1.5,
            points: { size: 4, show: (self) => xUnit === 'time' && self.data[0].length <= FEW_POINTS },
          },
        ],
        hooks: { draw: [(self) => drawMarks(self, shownMarks.current, style)] },
      },
      [[], []],
      element,
    );
    plot.current = created;
    const observer = new ResizeObserver(() => created.setSize({ width: element.clientWidth, height: heightPx }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      created.destroy();
    };
  }, [xUnit, yUnit, heightPx]);

  useEffect(() => {
    plot.current?.setData(xUnit === 'time' ? withGaps(xs, ys) : [[...xs], [...ys]]);
  }, [xs, ys, xUnit, yUnit, marks, from, to]);

  return (
    <figure className="chart">
      <figcaption>
        {meaning === undefined ? title : <abbr title={meaning}>{title}</abbr>}{' '}
        <span className="unit">{note.filter((part) => part !== undefined).join(', ')}</span>
      </figcaption>
      <div ref={host} role="img" aria-label={`${describe(title, yUnit, xs, ys)}${describeMarks(marks)}`} />
    </figure>
  );
}

const X_AXIS_PX = 28;
/** A line through one or two points is none. */
const FEW_POINTS = 20;
/** Nothing for so long is a gap, where readings do not come as slowly as that. */
const GAP_S = 30;
const GAP_STEPS = 5;

/** In seconds, with a hole wherever nothing came for long: a line across would show values that nobody measured. */
function withGaps(xs: readonly number[], ys: readonly number[]): [number[], (number | null)[]] {
  const seconds = xs.map((ms) => ms / 1000);
  const steps = seconds.slice(1).map((second, index) => second - (seconds[index] ?? second));
  const gapS = Math.max(GAP_S, GAP_STEPS * (steps.toSorted((a, b) => a - b)[steps.length >> 1] ?? 0));
  const out: [number[], (number | null)[]] = [[], []];
  for (const [index, second] of seconds.entries()) {
    const step = steps[index - 1] ?? 0;
    if (step > gapS) {
      out[0].push(second - step / 2);
      out[1].push(null);
    }
    out[0].push(second);
    out[1].push(ys[index] ?? null);
  }
  return out;
}

const TIME_STEPS_S = [1, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400];

/** Hours, minutes and, where they differ, seconds: the day is said beside the charts. */
function timeLabels(_plot: uPlot, seconds: number[], _axis: number, _space: number, step: number): string[] {
  return seconds.map((second) => time(second * 1000).slice(0, step < 60 ? 8 : 5));
}

function valueLabels(_plot: uPlot, values: number[]): string[] {
  return values.map(number);
}

/** A line that does not move lies in the middle of a narrow range, and no range is made where there is nothing. */
function valueRange(_plot: uPlot, min: number | null, max: number | null): uPlot.Range.MinMax {
  if (min === null || max === null) return [0, 1];
  if (min !== max) return uPlot.rangeNum(min, max, 0.1, true);
  if (min === 0) return [0, 1];
  const around = Math.max(0.5, 0.05 * Math.abs(min));
  return [min - around, max + around];
}

function describe(title: string, unit: string, xs: readonly number[], ys: readonly number[]): string {
  const last = ys.at(-1);
  if (last === undefined) return `${title}: no data`;
  return `${title} in ${unit}: ${xs.length} points, from ${Math.min(...ys).toPrecision(3)} to ${Math.max(...ys).toPrecision(3)}, last ${last.toPrecision(3)}`;
}

/** The first of each kind at its place: the others are its multiples. */
function describeMarks(marks: readonly ChartMark[] = []): string {
  const firsts = marks.filter(({ kind }, index) => marks.findIndex((other) => other.kind === kind) === index);
  return firsts.length === 0
    ? ''
    : `; marked: ${firsts.map(({ label, at }) => `${label} at ${number(at)} Hz`).join(', ')}`;
}

function drawMarks(plot: uPlot, marks: readonly ChartMark[], style: CSSStyleDeclaration): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.font = `${11 * devicePixelRatio}px system-ui`;
  // One row of labels a kind, so that neighbours do not cover each other.
  const rows = [...new Set(marks.map((mark) => mark.kind))];
  const writtenTo = new Map<string, number>();
  ctx.textAlign = 'left';
  ctx.textBaseline = 'alphabetic';
  for (const mark of marks) {
    const x = plot.valToPos(mark.at, 'x', true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.strokeStyle = ctx.fillStyle = style.getPropertyValue(mark.kind === 'shaft' ? '--ink-soft' : '--bad');
    ctx.setLineDash([4, 4]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    // A label that would cover the one before it is left out: its line stands.
    if (x < (writtenTo.get(mark.kind) ?? 0)) continue;
    ctx.fillText(mark.label, x + 3, bbox.top + (1 + rows.indexOf(mark.kind)) * 12 * devicePixelRatio);
    writtenTo.set(mark.kind, x + 3 + ctx.measureText(mark.label).width);
  }
  ctx.restore();
}
